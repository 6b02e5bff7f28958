import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerDetails, EngineApi } from '../engine/engine-api.ts'
import { type ReusePlace, labelOfRoot } from './reuse-labels.ts'
import { Lifeline } from '../container/lifeline.ts'

const POLL_MS = 20
const REMOVAL_TRIES = 250

/** Removes unused containers of the project's earlier runs that hold a host port which this run needs. */
export async function evictReusable(
  port: number,
  { api, root, runId }: Pick<ReusePlace, 'root'> & { readonly api: EngineApi; readonly runId: string },
): Promise<void> {
  for (const { Id } of await api.listContainers(labelOfRoot(root))) {
    const details = await api.inspectContainer(Id)
    if (details && isOn(details, port)) {
      // A container that does not answer is left alone. The error about the port then names it.
      const attachment = await Lifeline.attach({ api, id: Id, hold: { run: runId } }, { folder: '/' }).catch(
        () => undefined,
      )
      if (attachment) {
        attachment.lifeline.end()
        await api.removeContainer(Id)
        await awaitRemoval(api, Id)
      }
    }
  }
}

/**
 * Waits until a container is removed. If the engine was already removing it, the container holds its port a while
 * longer.
 */
async function awaitRemoval(api: EngineApi, id: string): Promise<void> {
  for (let tries = REMOVAL_TRIES; tries > 0 && (await api.inspectContainer(id)); tries -= 1) {
    await sleep(POLL_MS)
  }
}

function isOn({ NetworkSettings: { Ports } }: ContainerDetails, port: number): boolean {
  return Object.values(Ports).some((bindings) => bindings?.some(({ HostPort }) => Number(HostPort) === port))
}

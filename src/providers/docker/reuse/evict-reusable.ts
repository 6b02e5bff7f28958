import { setTimeout as sleep } from 'node:timers/promises'
import { type ContainerDetails, EngineApi } from '../engine/engine-api.ts'
import { type ReusePlace, labelOfRoot } from './reuse-labels.ts'
import { Lifeline } from '../container/lifeline.ts'
import { removeContainer } from '../container/remove-container.ts'

const POLL_MS = 20
const REMOVAL_TRIES = 250

/**
 * Removes what earlier runs of the project have left up on a port of this machine, if nobody uses it: the project wants
 * something else there now.
 */
export async function evictReusable(
  port: number,
  { engine, root, runId }: ReusePlace & { readonly runId: string },
): Promise<void> {
  const api = new EngineApi(engine)
  for (const { Id } of await api.listContainers(labelOfRoot(root))) {
    const details = await api.inspectContainer(Id)
    if (details && isOn(details, port)) {
      // A container that does not answer is not ours to remove: the error names it as the holder of the port.
      const welcome = await Lifeline.visit({ api, id: Id, hold: { run: runId } }, { folder: '/' }).catch(
        () => undefined,
      )
      if (welcome) {
        welcome.lifeline.end()
        await removeContainer(engine, Id)
        await awaitRemoval(api, Id)
      }
    }
  }
}

/** Where it is being removed already, the engine says so at once, and the port is held a while longer. */
async function awaitRemoval(api: EngineApi, id: string): Promise<void> {
  for (let tries = REMOVAL_TRIES; tries > 0 && (await api.inspectContainer(id)); tries -= 1) {
    await sleep(POLL_MS)
  }
}

function isOn({ NetworkSettings: { Ports } }: ContainerDetails, port: number): boolean {
  return Object.values(Ports).some((bindings) => bindings?.some(({ HostPort }) => Number(HostPort) === port))
}

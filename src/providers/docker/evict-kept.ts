import { type ContainerDetails, EngineApi } from './engine-api.ts'
import { type KeptPlace, labelOfRoot } from './kept-labels.ts'
import { Lifeline } from './lifeline.ts'
import { removeContainer } from './remove-container.ts'

/**
 * Removes what earlier runs of the project have left up on a port of this machine, if nobody uses it: the project wants
 * something else there now.
 */
export async function evictKept(
  port: number,
  { engine, root, runId }: KeptPlace & { readonly runId: string },
): Promise<void> {
  const api = new EngineApi(engine)
  for (const { Id } of await api.listContainers(labelOfRoot(root))) {
    const details = await api.inspectContainer(Id)
    if (details && isOn(details, port)) {
      const welcome = await Lifeline.visit({ api, id: Id, hold: { run: runId } }, { folder: '/' })
      if (welcome) {
        welcome.lifeline.end()
        await removeContainer(engine, Id)
      }
    }
  }
}

function isOn({ NetworkSettings: { Ports } }: ContainerDetails, port: number): boolean {
  return Object.values(Ports).some((bindings) => bindings?.some(({ HostPort }) => Number(HostPort) === port))
}

import { LABEL } from '../../../internal/names.ts'
import type { Address } from '../../../services/service.ts'
import { type ContainerDetails, EngineApi, plainName } from '../engine/engine-api.ts'
import { searchHere } from '../engine/engine-places.ts'
import { findEngine } from '../engine/find-engine.ts'
import { addressIn, labelOfRoot } from './reuse-labels.ts'

/** A server that `up` or a run of the project has left running. */
export interface RunningService {
  readonly name: string
  /** The name of the server's container. */
  readonly container: string
  readonly details: ContainerDetails
  readonly addressOf: (port: number) => Address
}

export interface RunningServices {
  readonly api: EngineApi
  /** The newest running server of each service. */
  readonly services: readonly RunningService[]
}

/**
 * Finds the running servers of a project. It does not attach to them, so a run that uses them is not disturbed.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function findRunningServices(
  environment: Record<string, string | undefined>,
  root: string,
): Promise<RunningServices> {
  const { api, containers } = await listOfProject(environment, root)
  // A listed container may be removed by now.
  const all = await Promise.all(containers.map(({ Id }) => api.inspectContainer(Id)))
  const alive = all.flatMap((details) => (details?.State.Running ? [details] : []))
  const byName = new Map(alive.toReversed().map((details) => [details.Config.Labels[LABEL.service], details]))
  return { api, services: [...byName].map(([name = '', details]) => describe(name, details)) }
}

/**
 * Removes the running services of a project, even if a run uses them. Uses the engine that a run would find. Resolves
 * to the number of removed containers.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function removeRunningServices(
  environment: Record<string, string | undefined>,
  root: string,
): Promise<number> {
  const { api, containers } = await listOfProject(environment, root)
  await Promise.all(containers.map(({ Id }) => api.removeContainer(Id)))
  return containers.length
}

/** Lists the containers of a project on the engine that a run would find, the newest first. */
async function listOfProject(environment: Record<string, string | undefined>, root: string) {
  const api = new EngineApi(await findEngine(searchHere(environment)))
  return { api, containers: await api.listContainers(labelOfRoot(root)) }
}

function describe(name: string, details: ContainerDetails): RunningService {
  return {
    name,
    container: plainName(details.Name),
    details,
    addressOf: (port) => addressIn(details, port),
  }
}

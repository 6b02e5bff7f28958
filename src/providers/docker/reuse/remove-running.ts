import { EngineApi } from '../engine/engine-api.ts'
import { searchHere } from '../engine/engine-places.ts'
import { findEngine } from '../engine/find-engine.ts'
import { labelOfRoot } from './reuse-labels.ts'
import { removeContainer } from '../container/remove-container.ts'

/**
 * Removes all containers that runs of a project left up, whether in use or not, from the engine that a run would use.
 * Returns their number.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function removeRunning(environment: Record<string, string | undefined>, root: string): Promise<number> {
  const engine = await findEngine(searchHere(environment))
  const containers = await new EngineApi(engine).listContainers(labelOfRoot(root))
  await Promise.all(containers.map(({ Id }) => removeContainer(engine, Id)))
  return containers.length
}

import { EngineApi } from '../providers/docker/engine/engine-api.ts'
import { searchHere } from '../providers/docker/engine/engine-places.ts'
import { findEngine } from '../providers/docker/engine/find-engine.ts'
import { SnapshotImages } from '../providers/docker/snapshot/snapshot-images.ts'

/**
 * Removes the snapshots of all projects from the engine that a run would use. Resolves to a line with their number.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE` with every location that was tried and the reason why it failed
 */
export async function gc(environment: Record<string, string | undefined>): Promise<string> {
  const engine = await findEngine(searchHere(environment))
  const { removed, inUse } = await new SnapshotImages(new EngineApi(engine)).removeAll()
  const left = inUse > 0 ? `; ${count(inUse)} not removed, because in use` : ''
  return `${count(removed)} removed${left}`
}

function count(number: number): string {
  return `${number} snapshot${number === 1 ? '' : 's'}`
}

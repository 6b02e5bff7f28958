import { connectTestcontainers } from './docker/engine/connect-testcontainers.ts'
import { searchHere } from './docker/engine/engine-places.ts'
import { findEngine } from './docker/engine/find-engine.ts'
import { type RemovedSnapshots, SnapshotImages } from './docker/snapshot/snapshot-images.ts'

/**
 * Removes every snapshot of every project from the engine that a run would find.
 *
 * @throws InfraError `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function removeSnapshots(environment: Record<string, string | undefined>): Promise<RemovedSnapshots> {
  const engine = await findEngine(searchHere(environment))
  const client = await connectTestcontainers(engine, environment)
  return new SnapshotImages(client.container.dockerode).removeAll()
}

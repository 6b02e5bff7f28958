import { getContainerRuntimeClient } from 'testcontainers'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { searchHere } from '../../src/providers/docker/engine/engine-places.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { SnapshotImages } from '../../src/providers/docker/snapshot/snapshot-images.ts'
import type { Session } from './session.ts'

async function connect() {
  return (await getContainerRuntimeClient()).container.dockerode
}

function labelsOf({ labels }: Session): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`)
}

export interface Engine {
  readonly version: string
  readonly storage: string
  readonly standIns: readonly string[]
}

const IMAGES = ['postgres:18-alpine', 'redis:8-alpine']

/** Which engine it is, and which of the images are not the official ones. */
export async function describeEngine(): Promise<Engine> {
  const engine = await connect()
  const { ServerVersion, Driver } = (await engine.info()) as { ServerVersion: string; Driver: string }
  const images = await Promise.all(
    IMAGES.map((image) =>
      engine
        .getImage(image)
        .inspect()
        .catch(() => undefined),
    ),
  )
  const standIns = IMAGES.filter((_, index) => images[index]?.Config.Labels?.['vitest-infra.stand-in'] !== undefined)
  return { version: ServerVersion, storage: Driver, standIns }
}

/** Removes containers that contenders left, as they do when a signal stops them; returns their number. */
export async function sweep(session: Session): Promise<number> {
  const engine = await connect()
  const filters = { label: labelsOf(session) }
  const containers = await engine.listContainers({ all: true, filters })
  await Promise.all(containers.map(({ Id }) => engine.getContainer(Id).remove({ force: true, v: true })))
  const { Volumes } = await engine.listVolumes({ filters })
  await Promise.all(Volumes.map(({ Name }) => engine.getVolume(Name).remove()))
  const networks = await engine.listNetworks({ filters })
  await Promise.all(networks.map(({ Id }) => engine.getNetwork(Id).remove()))
  return containers.length + Volumes.length + networks.length
}

/** Removes the snapshots that runs in a folder have left. */
export async function removeSnapshots(folder: string): Promise<void> {
  const engine = await findEngine(searchHere(process.env))
  await new SnapshotImages(new EngineApi(engine)).removeAll(folder)
}

interface MemoryStats {
  readonly usage?: number
  readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number }
}

/** The memory of all containers, as `docker stats` counts it, without cached files. */
export async function containerMemoryBytes(session: Session): Promise<number> {
  const engine = await connect()
  const containers = await engine.listContainers({ filters: { label: labelsOf(session) } })
  const used = await Promise.all(
    containers.map(async ({ Id }) => {
      const options = { stream: false, 'one-shot': true } as const
      const stats = (await engine.getContainer(Id).stats(options)) as { memory_stats?: MemoryStats }
      const { usage = 0, stats: parts } = stats.memory_stats ?? {}
      return usage - (parts?.total_inactive_file ?? parts?.inactive_file ?? 0)
    }),
  )
  return used.reduce((sum, bytes) => sum + bytes, 0)
}

import { setTimeout as sleep } from 'node:timers/promises'
import { connectTestcontainers } from '../../../src/providers/docker/engine/connect-testcontainers.ts'
import { EngineApi } from '../../../src/providers/docker/engine/engine-api.ts'
import { searchHere } from '../../../src/providers/docker/engine/engine-places.ts'
import { findEngine } from '../../../src/providers/docker/engine/find-engine.ts'
import { SnapshotImages } from '../../../src/providers/docker/snapshot/snapshot-images.ts'
import type { Container, Dockerode } from '../../support/dockerode.ts'

export type ContainerDetails = Awaited<ReturnType<Container['inspect']>>

const PATIENCE_MS = 5_000

let connecting: Promise<Dockerode> | undefined

/** The engine that the consumers' runs use too. */
export function engine(): Promise<Dockerode> {
  connecting ??= connect()
  return connecting
}

async function connect(): Promise<Dockerode> {
  const found = await findEngine(searchHere(process.env))
  return (await connectTestcontainers(found, process.env)).container.dockerode
}

/** Removes the snapshots of the project in a folder. */
export async function removeSnapshotsOf(folder: string): Promise<void> {
  const found = await findEngine(searchHere(process.env))
  await new SnapshotImages(new EngineApi(found)).removeAll(folder)
}

/** The containers of a project, in any state; other runs on the same engine have other projects. */
export async function containersOf(project: string): Promise<ContainerDetails[]> {
  const docker = await engine()
  const containers = await docker.listContainers({ all: true, filters: { label: [labelOf(project)] } })
  return Promise.all(containers.map(({ Id }) => docker.getContainer(Id).inspect()))
}

/** The container of a service; operations on a missing container fail. */
export async function containerOf(project: string, service: string) {
  const found = (await containersOf(project)).find(({ Name }) => Name.endsWith(`-${service}`))
  return (await engine()).getContainer(found?.Id ?? 'gone')
}

/** Returns what remains of a project's containers after a time for their removal. */
export async function leftoversOf(project: string, patienceMs = PATIENCE_MS): Promise<string[]> {
  const docker = await engine()
  for (let waitedMs = 0; ; waitedMs += 100) {
    const left = await docker.listContainers({ all: true, filters: { label: [labelOf(project)] } })
    if (left.length === 0 || waitedMs >= patienceMs) {
      return left.flatMap(({ Names }) => Names)
    }
    await sleep(100)
  }
}

export async function removeContainersOf(project: string): Promise<void> {
  const docker = await engine()
  const left = await docker.listContainers({ all: true, filters: { label: [labelOf(project)] } })
  await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })))
}

/** Records the services for which containers of a project are created from now on. */
export async function watchCreations(project: string): Promise<{ created: string[]; end: () => void }> {
  const docker = await engine()
  const created: string[] = []
  const filters = { type: ['container'], event: ['create'], label: [labelOf(project)] }
  const stream = await docker.getEvents({ filters: JSON.stringify(filters) as never })
  stream.on('data', (line: Buffer) => {
    const { Actor } = JSON.parse(line.toString()) as { Actor: { Attributes: Record<string, string> } }
    created.push(Actor.Attributes['vitest-infra.service'] ?? '')
    created.sort()
  })
  return { created, end: () => (stream as unknown as { destroy(): void }).destroy() }
}

/** The tokens of the processes that hold a container's lifeline. */
export async function holdersOf(id: string): Promise<string[]> {
  const docker = await engine()
  const { Processes } = (await docker.getContainer(id).top({ ps_args: '-eo pid,args' })) as { Processes: string[][] }
  return Processes.flatMap((columns) => / sh \w+ (\w+) 10$/.exec(columns.at(-1) ?? '')?.[1] ?? [])
}

function labelOf(project: string): string {
  return `vitest-infra.project=${project}`
}

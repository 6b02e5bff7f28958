import { readlink, readdir } from 'node:fs/promises'
import { expect } from 'vitest'
import { containersOf, engine } from '../../e2e/support/containers.ts'
import type { VitestRun } from '../../e2e/support/run-vitest.ts'
import { leftOfSupervisors } from '../../support/left-of-supervisors.ts'

const PATIENCE = { timeout: 15_000, interval: 100 }

/** The leftovers of a run: containers with their volumes, networks, processes. */
async function leftOfRun({ project, pid, folder }: VitestRun, volumes: readonly string[]): Promise<readonly string[]> {
  const docker = await engine()
  const filters = { label: [`vitest-infra.project=${project}`] }
  const [containers, networks, { Volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes(),
  ])
  return [
    ...containers.flatMap(({ Names }) => Names),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...Volumes.filter(({ Name }) => volumes.includes(Name)).map(({ Name }) => `volume ${Name}`),
    ...(await processesIn(folder)),
    ...(await leftOfSupervisors(pid)),
  ]
}

export interface ExpectedEnd {
  /** In which it was ended, for the message. */
  readonly stage?: string
  /** Those that its containers had. */
  readonly volumes?: readonly string[]
}

/** Fails unless a finished run eventually leaves nothing. */
export async function expectNothingLeft(run: VitestRun, { stage, volumes = [] }: ExpectedEnd = {}): Promise<void> {
  await expect.poll(() => leftOfRun(run, volumes), { ...PATIENCE, message: stage ?? run.project }).toEqual([])
}

/** The volumes that the containers of a run have now. */
export async function volumesOf(run: VitestRun): Promise<readonly string[]> {
  const containers = await containersOf(run.project)
  return containers.flatMap(({ Mounts }) => Mounts.flatMap(({ Name }) => Name ?? []))
}

/** Processes that work in a folder, as all do that a run has started there. */
async function processesIn(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return pids.filter((_, index) => folders[index] === folder).map((pid) => `process ${pid}`)
}

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { findEngineFiles } from './engine-packages.ts'
import type { Lab } from './lab.ts'
import { dropNetwork } from './network.ts'
import { findByProgram, findDescendants, signalProcess, waitForEnd } from './processes.ts'
import { run } from './run.ts'

const SHIMS = ['containerd-shim-runc-v2', 'containerd-shim']
/** docker-proxy is not among them: it exits with its dockerd. */
const DAEMONS = ['dockerd', 'containerd', 'runc', ...SHIMS]

/** Leftovers of a killed engine, an interrupted start or a reboot: processes, mounts, the bridge, sockets. */
export async function clearLeftovers(lab: Lab): Promise<string[]> {
  const did: string[] = []
  const processes = await endLeftoverProcesses(lab)
  if (processes > 0)
    did.push(`ended ${processes} process${processes === 1 ? '' : 'es'} of an engine that did not stop by itself`)
  const mounts = await unmountBelow(lab, [lab.layout.lab, lab.layout.run])
  if (mounts > 0) did.push(`removed ${mounts} mount${mounts === 1 ? '' : 's'}`)
  const tools = (await findEngineFiles(lab, 'forky')) ?? (await findEngineFiles(lab, 'bookworm'))
  if (tools !== undefined && (await dropNetwork(lab, tools))) did.push('removed its bridge and rules')
  await removeShimSockets(lab.layout.run)
  await rm(lab.layout.run, { recursive: true, force: true })
  await rm(lab.layout.registryRecord, { force: true })
  return did
}

/** Only processes that run a program of this clone's engine on this clone's folder, and the children of their shims. */
async function endLeftoverProcesses(lab: Lab): Promise<number> {
  const daemons = findByProgram(lab.layout.engines, DAEMONS, lab.layout.run)
  const shims = findByProgram(lab.layout.engines, SHIMS, lab.layout.run)
  const containers = findDescendants(shims)
  for (const mark of [...daemons, ...containers]) signalProcess(mark, 'SIGKILL')
  for (const mark of [...daemons, ...containers]) await waitForEnd(mark, 5_000)
  return new Set([...daemons, ...containers].map(({ pid }) => pid)).size
}

async function unmountBelow(lab: Lab, folders: readonly string[]): Promise<number> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  const points = table
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replaceAll(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCodePoint(Number.parseInt(octal, 8)),
      ),
    )
    .filter((point) => folders.some((folder) => point.startsWith(`${folder}/`)))
  // The last mounted is the first to go.
  for (const point of points.toReversed())
    await run('umount', ['-l', point], { log: join(lab.layout.logs, 'mounts.log') })
  return points.length
}

/** Removes the sockets of shims: they are outside the configured folder, and a killed shim leaves its socket. */
async function removeShimSockets(runFolder: string): Promise<void> {
  const tasks = join(runFolder, 'containerd/io.containerd.runtime.v2.task/moby')
  for (const task of await readdir(tasks).catch(() => [])) {
    for (const file of ['bootstrap.json', 'address']) {
      const text = await readFile(join(tasks, task, file), 'utf8').catch(() => '')
      const socket = /unix:\/\/(\/run\/containerd\/s\/[0-9a-f]+)/.exec(text)?.[1]
      if (socket !== undefined) await rm(socket, { force: true })
    }
  }
}

import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'

import { prepareCgroups, startDaemon, waitUntil } from './daemons.ts'
import { DockerApi } from './docker-api.ts'
import { createRunFolder, writeEngineConfig } from './engine-config.ts'
import { ensureEngineFiles, writeTools, type EngineFiles, type EngineVariant } from './engine-packages.ts'
import type { Lab } from './lab.ts'
import { clearLeftovers } from './leftovers.ts'
import { createNetwork, type LabNetwork } from './network.ts'
import { endProcess, isRunning, type ProcessMark } from './processes.ts'

/** The engine of this clone, as its start wrote it down. */
export interface EngineRecord {
  readonly variant: EngineVariant
  readonly version: string
  readonly socket: string
  readonly network: LabNetwork
  readonly containerd: ProcessMark
  readonly dockerd: ProcessMark
}

const STOP_LIMIT_MS = 20_000

/** The engine of this clone if it runs and answers, else nothing. */
export async function findRunningEngine(lab: Lab): Promise<EngineRecord | undefined> {
  const record = await readRecord(lab)
  if (record === undefined || !isRunning(record.dockerd) || !isRunning(record.containerd)) return undefined
  try {
    await apiOf(record).ping()
    return record
  } catch {
    return undefined
  }
}

/** Whether this clone's own engine was set up with the images, even if it is stopped now. */
export function wasSetUp(lab: Lab): boolean {
  return existsSync(lab.layout.setUpMark)
}

export function apiOf({ socket }: Pick<EngineRecord, 'socket'>): DockerApi {
  return new DockerApi({ host: `unix://${socket}` })
}

/**
 * Starts this clone's engine, and downloads it first if necessary. The engine outlives the lab.
 *
 * @throws LabError when it does not answer before the timeout, with the end of its log; no part of it keeps running
 * then.
 */
export async function startEngine(lab: Lab, variant: EngineVariant): Promise<EngineRecord> {
  const files = await ensureEngineFiles(lab, variant)
  return lab.report.step(`starting the engine (Docker ${files.version})`, async () => {
    await clearLeftovers(lab)
    await createRunFolder(lab)
    try {
      return await launch(lab, files)
    } catch (error) {
      await clearLeftovers(lab)
      throw error
    }
  })
}

async function launch(lab: Lab, files: EngineFiles): Promise<EngineRecord> {
  const { socket } = lab.layout
  await writeTools(lab, files, socket)
  await prepareCgroups()
  const network = await createNetwork(lab, files)
  const config = await writeEngineConfig(lab, files, network)
  const containerd = await startDaemon(lab, files, 'containerd', ['--config', config.containerd])
  await waitUntil(lab, containerd, 'containerd', async () => existsSync(config.containerdSocket))
  const dockerd = await startDaemon(lab, files, 'dockerd', ['--config-file', config.dockerd])
  await waitUntil(lab, dockerd, 'dockerd', () => answers(socket))
  const record: EngineRecord = { variant: files.variant, version: files.version, socket, network, containerd, dockerd }
  await writeFile(lab.layout.engineRecord, JSON.stringify(record))
  return record
}

/** Stops the engine with all its containers, and releases the machine's resources. Reports what it did. */
export async function stopEngine(lab: Lab): Promise<void> {
  const record = await findRunningEngine(lab)
  const did: string[] = []
  if (record !== undefined) {
    const { containers, networks } = await apiOf(record).removeAll()
    if (containers > 0) did.push(`removed ${containers} container${containers === 1 ? '' : 's'}`)
    if (networks > 0) did.push(`removed ${networks} network${networks === 1 ? '' : 's'}`)
    await endProcess(record.dockerd, { graceMs: STOP_LIMIT_MS })
    await endProcess(record.containerd, { graceMs: STOP_LIMIT_MS })
    did.push(`stopped the engine (Docker ${record.version})`)
  }
  did.push(...(await clearLeftovers(lab)))
  lab.report.line(did.length === 0 ? "this clone's engine was not running" : did.join(', '))
  if (did.length > 0) lab.report.line(`images and downloads stay in ${lab.layout.lab}`)
}

async function readRecord(lab: Lab): Promise<EngineRecord | undefined> {
  const text = await readFile(lab.layout.engineRecord, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as EngineRecord)
}

async function answers(socket: string): Promise<boolean> {
  try {
    await apiOf({ socket }).ping()
    return true
  } catch {
    return false
  }
}

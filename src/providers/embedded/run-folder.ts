import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type FolderOwner, nameDataFolder, ownerOfDataFolder } from '../../internal/names.ts'
import { isRunning } from '../../internal/is-running.ts'
import { readProcessStart } from '../../internal/process-start.ts'

/** The start time of a process on systems that do not report it. */
const UNKNOWN = '0'

/**
 * Creates a folder for the data of one run, named after this process, and removes the folders of processes that have
 * exited. If a machine ends a run and its supervisor together, neither can remove its folder.
 */
export async function createRunFolder(parent: string): Promise<string> {
  const space = await processSpace()
  await removeAbandoned(parent, space)
  const started = (await readProcessStart(process.pid)) ?? UNKNOWN
  const folder = await mkdtemp(join(parent, nameDataFolder({ space, pid: process.pid, started })))
  // The servers' account must be able to enter the folder, but not to list it.
  await chmod(folder, 0o711)
  return folder
}

async function removeAbandoned(parent: string, space: string): Promise<void> {
  const owned = (await readdir(parent)).flatMap((name) => {
    const owner = ownerOfDataFolder(name, space)
    return owner ? [{ name, owner }] : []
  })
  // Folders of other users cannot be removed, and need not be.
  await Promise.allSettled(
    owned.map(async ({ name, owner }) => {
      if (await isGone(owner)) {
        await rm(join(parent, name), { recursive: true, force: true })
      }
    }),
  )
}

/**
 * Resolves to whether a process has exited. It compares start times, because another process may have the same id by
 * now.
 */
async function isGone({ pid, started }: FolderOwner): Promise<boolean> {
  return started === UNKNOWN ? !isRunning(pid) : (await readProcessStart(pid)) !== started
}

/**
 * Resolves to the id of this process's pid namespace, `'0'` if unknown. In containers that share a folder, processes
 * may have the same ids.
 */
async function processSpace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '')
  return /\d+/.exec(link)?.[0] ?? '0'
}

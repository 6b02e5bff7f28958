import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning } from '../../internal/is-running.ts'

const PREFIX = 'vitest-infra-'

/**
 * Makes a folder for the data of one run, named after this process, and removes those of processes that are gone: when
 * a machine ends a run and its keeper together, nobody is left to do it.
 */
export async function createRunFolder(parent: string): Promise<string> {
  const space = await processSpace()
  await removeAbandoned(parent, space)
  const folder = await mkdtemp(join(parent, `${PREFIX}${space}-${process.pid}-`))
  // The servers' account must get through, though it need not look around.
  await chmod(folder, 0o711)
  return folder
}

async function removeAbandoned(parent: string, space: string): Promise<void> {
  const ours = new RegExp(`^${PREFIX}${space}-(\\d+)-`)
  const folders = (await readdir(parent)).filter((name) => {
    const pid = ours.exec(name)?.[1]
    return pid !== undefined && !isRunning(Number(pid))
  })
  // Another user's cannot be removed, nor need it be.
  await Promise.allSettled(folders.map((name) => rm(join(parent, name), { recursive: true, force: true })))
}

/** Containers that share a folder number their processes each for themselves. */
async function processSpace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '')
  return /\d+/.exec(link)?.[0] ?? '0'
}

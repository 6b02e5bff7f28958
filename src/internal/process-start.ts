import { readFile } from 'node:fs/promises'

/**
 * Returns the start time of a local process in Linux's own unit. Ids are reused, but id and start time together are
 * unique. Undefined if the process does not exist, or the system does not report it.
 */
export async function readProcessStart(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Field 22. Field 2 is the process's name in parentheses, which may contain any character.
  return status.slice(status.lastIndexOf(')')).split(' ')[20]
}

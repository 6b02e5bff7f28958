import { readFile } from 'node:fs/promises'

/**
 * Resolves to the start time of a local process, in Linux's own unit; undefined if the process does not exist or the
 * system does not report it. Process ids are reused, but an id and a start time together are unique.
 */
export async function readProcessStart(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The start time is field 22. Field 2 is the process's name in parentheses, which may contain any character.
  return status.slice(status.lastIndexOf(')')).split(' ')[20]
}

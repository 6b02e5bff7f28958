import { readFile } from 'node:fs/promises'

/**
 * When a process of this machine started, as Linux's kernel counts it: together with its id this names it for good, since
 * ids are given again. Undefined if there is no such process, or the system does not report it.
 */
export async function readProcessStart(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Field 22; the second one is the process's name in parentheses, which may hold anything.
  return status.slice(status.lastIndexOf(')')).split(' ')[20]
}

import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Resolves to the ids of the direct children of a process; empty on Windows. */
export async function childrenOf(parent: number): Promise<readonly number[]> {
  switch (process.platform) {
    case 'win32':
      return []
    case 'linux':
      return findInProc(parent)
    default:
      return findWithPs(parent)
  }
}

export function signalEach(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // The process has exited meanwhile.
    }
  }
}

/** Reads /proc, because small Linux images have no `ps`. */
async function findInProc(parent: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The name of the program is in parentheses, and may contain spaces.
      const [, itsParent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(itsParent) === parent ? [Number(pid)] : []
    }),
  )
  return found.flat()
}

async function findWithPs(parent: number): Promise<readonly number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid='])
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, itsParent]) => (pid !== undefined && itsParent === parent ? [pid] : []))
}

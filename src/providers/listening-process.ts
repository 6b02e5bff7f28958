import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'

export interface ListeningProcess {
  readonly pid: number
  readonly name: string
}

/**
 * Resolves to the process that listens on a TCP port of this machine; undefined if there is none or this account cannot
 * see it.
 */
export async function findListeningProcess(
  port: number,
  platform: NodeJS.Platform,
): Promise<ListeningProcess | undefined> {
  switch (platform) {
    case 'linux':
      return findInProc(port)
    case 'darwin':
      return findWithLsof(port)
    default:
      return undefined
  }
}

async function findInProc(port: number): Promise<ListeningProcess | undefined> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readOrEmpty))
  const wanted = new Set(tables.flatMap((table) => listeningInodes(table, port)).map((inode) => `socket:[${inode}]`))
  const pids = wanted.size === 0 ? [] : (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    if (await hasOpen(pid, wanted)) {
      return { pid: Number(pid), name: await programOf(pid) }
    }
  }
  return undefined
}

/**
 * Resolves to the name of the program's file. `comm` is only a fallback: it is the name of a thread, such as
 * "MainThread" for Node.
 */
async function programOf(pid: string): Promise<string> {
  const file = await readlink(`/proc/${pid}/exe`).catch(() => '')
  return basename(file).replace(/ \(deleted\)$/, '') || (await readOrEmpty(`/proc/${pid}/comm`)).trim()
}

/**
 * Returns the inodes of the sockets that listen on a port. Columns: number, local address, remote address, state (`0A`
 * means listening), …, the inode as the tenth.
 */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === '0A')
    .flatMap((columns) => columns[9] ?? [])
}

async function hasOpen(pid: string, wanted: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  // The descriptors of processes that belong to other accounts or have just exited cannot be read.
  const descriptors = await readdir(folder).catch(() => [])
  const targets = await Promise.all(descriptors.map((fd) => readlink(`${folder}/${fd}`).catch(() => '')))
  return targets.some((target) => wanted.has(target))
}

async function findWithLsof(port: number): Promise<ListeningProcess | undefined> {
  const { execFile } = await import('node:child_process')
  const { promise, resolve } = Promise.withResolvers<string>()
  const options = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc']
  execFile('lsof', options, { timeout: 2_000 }, (error, stdout) => resolve(error ? '' : stdout))
  const [, pid, name] = /^p(\d+)\nc(.*)$/m.exec(await promise) ?? []
  return pid === undefined || name === undefined ? undefined : { pid: Number(pid), name }
}

async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

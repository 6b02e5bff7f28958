import { readFile } from 'node:fs/promises'
import { canConnect } from '../../internal/can-connect.ts'
import type { ChildProgram } from './supervisor.ts'
import type { Account } from './supervisor-protocol.ts'

const POLL_MS = 5
const LISTEN_LIMIT_MS = 10_000
const LOG_TAIL_LENGTH = 4 * 1024 * 1024

/** A service's server as a program of this machine. */
export interface LocalProgram {
  readonly file: string
  /** None: the account of this process. */
  readonly account: Account | undefined
  readonly endSignal: 'SIGQUIT' | 'SIGKILL'
  /** The words of its command line, less the first, with what only a local process needs. */
  arguments(words: readonly string[], place: { readonly folder: string; readonly port: number }): readonly string[]
  /** The same for an instance, whose words name folder and port already. */
  instanceArguments(words: readonly string[]): readonly string[]
  /** Fills the folder that its data is in; says whether with a cached copy of an earlier run. */
  fill(folder: string): Promise<'new' | 'cached'>
  /**
   * Fills `base` with what `data` is now, ready to be copied for instances; the server must be frozen until `onCopied` is
   * called.
   */
  takeBase?(data: string, base: string, onCopied: () => Promise<void>): Promise<void>
  /** Removes the cached copy. */
  discardCached(): Promise<void>
}

/** Resolves when the program listens, has exited, is not wanted any more, or has taken too long. */
export async function awaitListening(
  program: ChildProgram,
  port: number,
  isWanted: () => boolean,
): Promise<'listening' | 'exited' | 'silent'> {
  const deadlineMs = performance.now() + LISTEN_LIMIT_MS
  while (performance.now() < deadlineMs && isWanted()) {
    if (program.exit !== undefined) {
      return 'exited'
    }
    if (await canConnect('127.0.0.1', port)) {
      return 'listening'
    }
    await Promise.race([program.exited, new Promise((resolve) => setTimeout(resolve, POLL_MS))])
  }
  return 'silent'
}

/** The last lines of a server's log; lines older than `sinceMs` are left out if they have a time in UTC. */
export async function readLogTail(path: string, count: number, sinceMs?: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.slice(-LOG_TAIL_LENGTH).trimEnd().split('\n')
  const oldest = sinceMs === undefined ? -1 : lines.findLastIndex((line) => timeOf(line) < sinceMs)
  return `${lines
    .slice(oldest + 1)
    .slice(-count)
    .join('\n')}\n`
}

function timeOf(line: string): number {
  const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|GMT)\b/.exec(line) ?? []
  return day === undefined ? Infinity : Date.parse(`${day}T${time}Z`)
}

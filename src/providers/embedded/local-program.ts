import { readFile } from 'node:fs/promises'
import { canConnect } from '../../internal/can-connect.ts'
import type { ChildProgram } from './supervisor.ts'
import type { Account } from './supervisor-protocol.ts'

const POLL_MS = 5
const LISTEN_LIMIT_MS = 10_000
const LOG_TAIL_LENGTH = 4 * 1024 * 1024

/** A program of this machine that runs the server of a service. */
export interface LocalProgram {
  readonly file: string
  /** The account that the program runs as; undefined for the account of this process. */
  readonly account: Account | undefined
  readonly endSignal: 'SIGQUIT' | 'SIGKILL'
  /** Returns the program's arguments: `words`, and those that only a local process needs. */
  arguments(words: readonly string[], place: { readonly folder: string; readonly port: number }): readonly string[]
  /** Returns the arguments for an instance. Its `words` already contain the folder and the port. */
  instanceArguments(words: readonly string[]): readonly string[]
  /** Creates and fills the data folder. Resolves to `'cached'` if the data is a cached copy of an earlier run. */
  fill(folder: string): Promise<'new' | 'cached'>
  /**
   * Fills `base` with a copy of the current `data`, ready to be copied for instances. The server must be frozen until
   * `onCopied` is called.
   */
  takeBase?(data: string, base: string, onCopied: () => Promise<void>): Promise<void>
  /** Removes the cached copy of the data. */
  discardCached(): Promise<void>
}

/**
 * Waits until the program listens or has exited. Resolves to `'silent'` after a timeout, or when `isWanted` returns
 * false.
 */
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

/**
 * Resolves to the last `count` lines of a server's log. Lines that are older than `sinceMs`, a Unix time in
 * milliseconds, are left out if they have a time in UTC.
 */
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

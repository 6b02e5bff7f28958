import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { KeptProgram } from './keeper.ts'
import type { Account } from './keeper-protocol.ts'

const POLL_MS = 5
const CONNECT_TIMEOUT_MS = 500
const LISTEN_LIMIT_MS = 10_000
const LOG_TAIL_BYTES = 256 * 1024

/** A service's server as a program of this machine. */
export interface LocalProgram {
  readonly file: string
  /** None: whoever runs us. */
  readonly account: Account | undefined
  readonly endSignal: 'SIGQUIT' | 'SIGKILL'
  /** The words of its command line, less the first, with what only a local process needs. */
  arguments(words: readonly string[], place: { readonly folder: string; readonly port: number }): readonly string[]
  /** The same for a sibling, whose words name folder and port already. */
  siblingArguments(words: readonly string[]): readonly string[]
  /** Fills the folder that its data is in; says whether with a copy that an earlier run kept. */
  fill(folder: string): Promise<'new' | 'kept'>
  /** Throws away what earlier runs kept. */
  discardKept(): Promise<void>
}

/** Resolves when it listens, when it has ended, when `isWanted` says no, or when it has taken too long for a start. */
export async function awaitListening(
  program: KeptProgram,
  port: number,
  isWanted: () => boolean,
): Promise<'listening' | 'ended' | 'silent'> {
  const deadlineMs = performance.now() + LISTEN_LIMIT_MS
  while (performance.now() < deadlineMs && isWanted()) {
    if (program.ending !== undefined) {
      return 'ended'
    }
    if (await canConnect(port)) {
      return 'listening'
    }
    await Promise.race([program.whenEnded(), new Promise((resolve) => setTimeout(resolve, POLL_MS))])
  }
  return 'silent'
}

/** The last lines of a server's log. */
export async function readLogTail(path: string, count: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.slice(-LOG_TAIL_BYTES).trimEnd().split('\n')
  return `${lines.slice(-count).join('\n')}\n`
}

async function canConnect(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host: '127.0.0.1', port })
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => resolve(false))
  // A connection from the port to itself is one that nobody else accepted.
  socket.once('connect', () => resolve(socket.localPort !== port)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

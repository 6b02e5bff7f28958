import type { Socket } from 'node:net'
import type {} from 'vitest'
import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { StackFacts } from '../environment/infra-facts.ts'

/** A request is a few hundred characters; a lease, with the user's own variables in it, some thousands. */
const MAX_MESSAGE_LENGTH = 4 * 1024 * 1024

/** How a worker reaches the lease server; provided to it by the main process. */
export interface LeaseAccess {
  /** Path of the Unix socket or named pipe. */
  readonly socket: string
  /** The project whose variables and template apply. */
  readonly project: string
  /**
   * How long a lease lasts: one file, or the whole life of a worker that keeps the user's modules between files, where
   * it is reset instead.
   */
  readonly lifetime: 'file' | 'worker'
  /** What a file of the project is given. */
  readonly wants: readonly LeasedService[]
  /** The template that its database is a clone of. */
  readonly template: string
  /** Whether a file finds what the one before it left (`isolation: 'worker'`). */
  readonly reuse: boolean
}

/** What a worker asks for. `id` comes back in the answer. */
export type LeaseRequest =
  | {
      readonly id: number
      readonly type: 'acquire'
      readonly project: string
      /** The test file, and the test where there is one; for people. */
      readonly owner: string
      /** Whether it is given back with the file, or with a test before that. */
      readonly span: 'file' | 'test'
      readonly wants: readonly LeasedService[]
      readonly template: string
      /** Whether something that was used before will do, as its last user left it. */
      readonly reuse: boolean
      /** For a test: the lease of its file, on whose server its database shall be. */
      readonly beside?: number
      /** The id of the test, as several may have the same name. */
      readonly test?: string
      /** Whether it is for a test that has not begun, and counts only once that does. */
      readonly isAhead?: boolean
    }
  /** Said of what was acquired ahead when its test begins; answered as soon as there is room for it. */
  | {
      readonly id: number
      readonly type: 'begin'
      readonly lease: number
      readonly owner: string
      readonly test: string
    }
  /** Does something to the server of a lease. */
  | {
      readonly id: number
      readonly type: 'control'
      readonly lease: number
      readonly service: LeasedService
      readonly action: ServerAction
    }
  | {
      readonly id: number
      readonly type: 'reset'
      readonly lease: number
      readonly owner: string
      /** How long the file before has been over. */
      readonly idleMs: number
    }
  /** Said before the tests of a file run, where its code has changed variables of its lease. */
  | {
      readonly id: number
      readonly type: 'changed'
      readonly lease: number
      readonly owner: string
      readonly variables: readonly ChangedVariable[]
    }
  /** Said by a file that is over whose worker keeps the lease, so that what still uses it until the reset can be seen. */
  | { readonly id: number; readonly type: 'idle'; readonly lease: number }
  /** Said by a file that is over while its worker lives, so that what it left open can be seen. */
  | {
      readonly id: number
      readonly type: 'finish'
      readonly lease: number
      readonly owner: string
      /** Processes that it has started and that still run. */
      readonly processes?: readonly number[]
    }
  /** Said of a lease whose tests failed, before it is released; the answer has the log of each of `tests`. */
  | {
      readonly id: number
      readonly type: 'failed'
      readonly lease: number
      readonly owner: string
      /** Whether its database would be dropped with its release and should stay, where the stack lives on. */
      readonly retain: boolean
      readonly tests: readonly FailedTest[]
    }
  | { readonly id: number; readonly type: 'release'; readonly lease: number }

/** A test that failed, and where to look for what its server said. */
export interface FailedTest {
  readonly name: string
  /** When it ran, in Unix milliseconds. */
  readonly fromMs: number
  readonly toMs: number
  /** Databases of its own, in addition to that of its file. */
  readonly databases: readonly string[]
}

/** Lines of a log, the oldest first. */
export interface LogExcerpt {
  readonly lines: readonly string[]
  /** How many there were beyond them. */
  readonly more: number
}

export type LeasedService = 'postgres' | 'redis'

/** What a test can do to the server that its file leased. */
export type ServerAction = 'restart' | 'stop' | 'start' | 'pause' | 'resume'

/** What was given: where it is and the variables that lead there. */
export interface Lease {
  readonly lease: number
  readonly template: string
  readonly facts: StackFacts
  readonly env: Readonly<Record<string, string>>
}

export type LeaseAnswer =
  | { readonly id: number; readonly lease?: Lease; readonly logs?: readonly LogExcerpt[] }
  | { readonly id: number; readonly error: Refusal }

/** Why something is not given. */
export interface Refusal {
  readonly message: string
  readonly code?: string
}

/**
 * Said to workers, unasked: a server is gone, and what they have leased with it. Nothing that is asked for from now on can
 * be had, or only what is leased anew, since the server comes back.
 */
export interface LossNotice {
  readonly lost: Refusal
  readonly comesBack: boolean
}

/** One message a line. */
export function encodeMessage(message: LeaseRequest | LeaseAnswer | LossNotice): string {
  return `${JSON.stringify(message)}\n`
}

/** Calls back for each message, however the stream was split; disconnects a peer that sends anything else. */
export function readMessages(socket: Socket, handle: (message: object) => void): void {
  let rest = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message = parseMessage(line)
      if (message === undefined) {
        socket.destroy()
        return
      }
      handle(message)
    }
    if (rest.length > MAX_MESSAGE_LENGTH) {
      socket.destroy()
    }
  })
}

function parseMessage(line: string): object | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null && !Array.isArray(message) ? message : undefined
  } catch {
    return undefined
  }
}

declare module 'vitest' {
  interface ProvidedContext {
    'infra:lease': LeaseAccess | undefined
    /** Why the project has no services, if their start failed. */
    'infra:failure': Refusal | undefined
    /** Of a project without services: the values from before the run of the variables that lead to those of others. */
    'infra:before': Readonly<Record<string, string | undefined>>
  }
}

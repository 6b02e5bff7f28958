import type { LeaseSummary } from './lease-statistics.ts'

/** How far the pull of an image has come. */
export interface PullProgress {
  readonly image: string
  readonly layersDone: number
  readonly layersTotal: number
  readonly bytesDone: number
  readonly bytesTotal: number
}

/** What happens in a run, for reporters. */
export type InfraEvent =
  | { readonly type: 'provider-selected'; readonly description: string }
  | ({ readonly type: 'pull-progress' } & PullProgress)
  | { readonly type: 'pull-finished'; readonly image: string; readonly elapsedMs: number }
  | {
      readonly type: 'service-healthy'
      readonly service: string
      readonly version: string
      readonly host: string
      readonly port: number
      readonly elapsedMs: number
      /** Where it comes from: nowhere, a snapshot, an earlier run that has left it up, or a start in place of one lost. */
      readonly origin: 'new' | 'snapshot' | 'earlier run' | 'restart'
    }
  /** A server of an earlier run that could not be used any more, and is gone. */
  | { readonly type: 'service-replaced'; readonly service: string; readonly reason: string }
  | { readonly type: 'snapshot-taken'; readonly service: string; readonly elapsedMs: number }
  | { readonly type: 'snapshot-failed'; readonly service: string; readonly reason: string }
  /** A snapshot that no server could be started from. */
  | { readonly type: 'snapshot-discarded'; readonly service: string; readonly reason: string }
  | { readonly type: 'seeds-loaded'; readonly service: string; readonly files: number; readonly elapsedMs: number }
  | { readonly type: 'template-ready'; readonly template: string; readonly isNew: boolean; readonly elapsedMs: number }
  | ({ readonly type: 'leases-summary' } & LeaseSummary)
  /** A test or file that waits because all that there may be at once is leased. */
  | {
      readonly type: 'lease-waiting'
      readonly service: string
      readonly owner: string
      readonly count: number
      readonly reason: string
    }
  /** A run that waits before its tests, because what others use of a server leaves too little for it. */
  | { readonly type: 'room-waiting'; readonly service: string; readonly reason: string }
  /** What the server's log says of a test that failed; `more` lines are not among them. */
  | { readonly type: 'test-log'; readonly owner: string; readonly lines: readonly string[]; readonly more: number }
  /** A database that can still be looked into, with this command. */
  | { readonly type: 'database-retained'; readonly owner: string; readonly command: string }
  | { readonly type: 'connections-left'; readonly owner: string; readonly sessions: readonly string[] }
  /** Files that never connected to what they leased, while what all files share was used. */
  | {
      readonly type: 'lease-unused'
      readonly service: 'postgres' | 'redis'
      readonly owners: readonly string[]
      readonly common: readonly string[]
    }
  /** A service without a connection in a run of all tests. */
  | {
      readonly type: 'service-unused'
      readonly service: string
      /** Those that are built in, too, and were used. */
      readonly others: readonly string[]
      /** Whether `services` can be a list. */
      readonly isListed: boolean
      /** Variables that led there until files have changed them. */
      readonly changed: readonly { readonly name: string; readonly value: string; readonly owners: readonly string[] }[]
    }
  /** Projects that use the main database, in a run of several. */
  | { readonly type: 'main-shared'; readonly projects: readonly string[] }
  /** Clients of a file or test that is over still come to its Redis. */
  | { readonly type: 'clients-left'; readonly owner: string }
  /** Of a file that is over: what it made and the database's template does not have. */
  | { readonly type: 'objects-dropped'; readonly file: string; readonly objects: readonly string[] }
  /** Of a file that is over: what sessions of its database, or clients of its Redis, sent while no test ran. */
  | {
      readonly type: 'statements-late'
      readonly service: 'postgres' | 'redis'
      readonly file: string
      /** Whether no file had the database or the Redis before it, so that it can be none of their doing. */
      readonly isFirst: boolean
      readonly statements: readonly { readonly session: string; readonly query: string }[]
    }
  /** A server whose users lost their connections, because it could not be reset in any other way. */
  | { readonly type: 'server-replaced'; readonly service: string; readonly reason: string }
  /** A server that ended while tests ran, with the last lines of its log. */
  | {
      readonly type: 'service-lost'
      /** Whether it is started anew. */
      readonly comesBack: boolean
      readonly message: string
      readonly label: string
      readonly lines: readonly string[]
    }
  /** Servers that are there for the next run, and end when none has used them for so long. */
  | { readonly type: 'servers-left-running'; readonly idleTimeoutMs: number }
  /** A line about the whole of a run. */
  | { readonly type: 'summary'; readonly line: string }
  | { readonly type: 'stop-failed'; readonly message: string }
  /** The process exits while something is awaited. */
  | { readonly type: 'ended-early'; readonly awaited: string }

export type EventOf<Type extends InfraEvent['type']> = Extract<InfraEvent, { readonly type: Type }>

/** Takes events; never throws and never waits. */
export type Report = (event: InfraEvent) => void

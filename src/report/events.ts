import type { LeaseSummary } from './lease-statistics.ts'

/** Progress of an image pull. */
export interface PullProgress {
  readonly image: string
  readonly layersDone: number
  readonly layersTotal: number
  readonly bytesDone: number
  readonly bytesTotal: number
}

/** An event of a run, for reporters. */
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
      /**
       * How the server was started. `restart`: started again after a loss; `earlier run`: still running since an
       * earlier run.
       */
      readonly origin: 'new' | 'snapshot' | 'earlier run' | 'restart'
    }
  /** A server of an earlier run was unusable and has been removed. */
  | { readonly type: 'service-replaced'; readonly service: string; readonly reason: string }
  | { readonly type: 'snapshot-taken'; readonly service: string; readonly elapsedMs: number }
  | { readonly type: 'snapshot-failed'; readonly service: string; readonly reason: string }
  /** A snapshot was discarded because no server could be started from it. */
  | { readonly type: 'snapshot-discarded'; readonly service: string; readonly reason: string }
  | { readonly type: 'seeds-loaded'; readonly service: string; readonly files: number; readonly elapsedMs: number }
  | { readonly type: 'template-ready'; readonly template: string; readonly isNew: boolean; readonly elapsedMs: number }
  | ({ readonly type: 'leases-summary' } & LeaseSummary)
  /** A test or file waits because the maximum number of leases is in use. */
  | {
      readonly type: 'lease-waiting'
      readonly service: string
      readonly owner: string
      readonly count: number
      readonly reason: string
    }
  /** A run waits before its tests because other clients leave too little capacity on a server. */
  | { readonly type: 'capacity-waiting'; readonly service: string; readonly reason: string }
  /** The server's log lines for a failed test; `more` is the number of omitted lines. */
  | { readonly type: 'test-log'; readonly owner: string; readonly lines: readonly string[]; readonly more: number }
  /** A retained database, and the command to inspect it. */
  | { readonly type: 'database-retained'; readonly owner: string; readonly command: string }
  | { readonly type: 'connections-left'; readonly owner: string; readonly sessions: readonly string[] }
  /**
   * Files that never connected to their lease, although the main database or Redis, which all files share, was used.
   */
  | {
      readonly type: 'lease-unused'
      readonly service: 'postgres' | 'redis'
      readonly owners: readonly string[]
      readonly common: readonly string[]
    }
  /** A service that received no connection in a run of all tests. */
  | {
      readonly type: 'service-unused'
      readonly service: string
      /** The other built-in services, which were used in the run. */
      readonly others: readonly string[]
      /** Whether the option `services` accepts a list. */
      readonly isListed: boolean
      /** Variables with the service's address that test files have overwritten. `owners` are these files. */
      readonly changed: readonly { readonly name: string; readonly value: string; readonly owners: readonly string[] }[]
    }
  /** Projects that use the main database, in a run of several projects. */
  | { readonly type: 'main-shared'; readonly projects: readonly string[] }
  /** Clients of an ended file or test still connect to its Redis. */
  | { readonly type: 'clients-left'; readonly owner: string }
  /** Objects that an ended file created, and that its template does not have. */
  | { readonly type: 'objects-dropped'; readonly file: string; readonly objects: readonly string[] }
  /** Statements that sessions of a database, or clients of a Redis, sent while no test ran. */
  | {
      readonly type: 'statements-late'
      readonly service: 'postgres' | 'redis'
      readonly file: string
      /** Whether no earlier file used the same database or Redis, so that `file` must be the cause. */
      readonly isFirst: boolean
      readonly statements: readonly { readonly session: string; readonly query: string }[]
    }
  /** A server was replaced because it could not be reset. This closed its connections. */
  | { readonly type: 'server-replaced'; readonly service: string; readonly reason: string }
  /** A server exited while tests ran, with the last lines of its log. */
  | {
      readonly type: 'service-lost'
      /** Whether the server will be restarted. */
      readonly comesBack: boolean
      readonly message: string
      readonly label: string
      readonly lines: readonly string[]
    }
  /** Servers keep running for the next run, and stop after this time without use. */
  | { readonly type: 'servers-left-running'; readonly idleTimeoutMs: number }
  /** A line about the whole run. */
  | { readonly type: 'summary'; readonly line: string }
  | { readonly type: 'stop-failed'; readonly message: string }
  /** The process exits before the run has ended; `awaited` describes what the run still waits for. */
  | { readonly type: 'ended-early'; readonly awaited: string }

export type EventOf<Type extends InfraEvent['type']> = Extract<InfraEvent, { readonly type: Type }>

/** Receives events; never throws or waits. */
export type Report = (event: InfraEvent) => void

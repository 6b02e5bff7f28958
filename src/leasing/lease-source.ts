import type { StackFacts } from '../environment/infra-facts.ts'
import type { PostgresAddress, RedisAddress } from '../environment/variable-set.ts'

export type LeasedService = 'postgres' | 'redis'

/** An action of a test on the server that its file has leased. */
export type ServerAction = 'restart' | 'stop' | 'start' | 'pause' | 'resume'

export interface AcquireRequest {
  readonly project: string
  /** The name of the test file, or of the file and the test, for messages. */
  readonly owner: string
  /** How long the lease lasts: until its file or its test ends. */
  readonly span: 'file' | 'test'
  readonly wants: readonly LeasedService[]
  readonly template: string
  /** Whether the source may return a used item, in the state in which its last user left it. */
  readonly reuse: boolean
  /** For the lease of a test, the lease of its file. The database of the test is on the same server. */
  readonly onServerOf?: number
  /** The id of the test. A name would not be unique, because several tests may have the same one. */
  readonly test?: string
  /** Whether the lease is acquired before its test begins. It counts towards the limit only from `begin()` on. */
  readonly isAhead?: boolean
}

/** The circumstances in which a lease ended. */
export interface ReleaseInfo {
  /** Whether the process that used the item has exited, so that it can no longer use the item. */
  readonly isUserGone: boolean
  /** The name of the file, or of the file and the test, that used the item; for messages. */
  readonly owner?: string
  /** Ids of the file's child processes that were still running when the file ended. */
  readonly processes?: readonly number[]
}

/** The last use of an item before it is reset for the next file. */
export interface LastUse {
  readonly file: string
  /** The time since the file's tests and hooks ended, in milliseconds. */
  readonly idleMs: number
}

/** The items of one lease. */
export interface Leased {
  readonly database: string | undefined
  readonly redis: RedisAddress | undefined
  /** The sources from which both items were acquired, and to which they are released. */
  readonly sources: LeaseSources
}

/** Usage counters, which only grow, by the names of the items whose use they count. */
export type Counts = ReadonlyMap<string, number>

export interface Use {
  /** The number of clients that have connected to the leased item so far. */
  readonly connections: number
  /** The use of the items that all files share, such as the main database; empty if it was not counted. */
  readonly common: Counts
  /**
   * The number of connections that may belong to the user's code or to vitest-infra. They show only that the service
   * may be in use.
   */
  readonly others?: number
}

/** A source of leasable items of one kind: databases, logical databases or servers. */
export interface LeaseSource<T> {
  /** Resolves to an item as soon as one is available. For a test, `file` contains the leased items of its file. */
  acquire(request: AcquireRequest, file?: Leased): Promise<T>
  /** Releases an item. Data that the last user left is removed in the background. */
  release(item: T, info: ReleaseInfo): void
  /** Resets the item to the state of a new one while its user stays connected. */
  reset(item: T, use: LastUse): Promise<void>
  /**
   * Call it when the file that uses the item has ended. Clients that use the item between then and the reset are
   * reported.
   */
  idle?(item: T): Promise<void>
  /** Controls the server of the item. Only sources whose servers are not used by other leases have this method. */
  control?(item: T, action: ServerAction): Promise<void>
  /**
   * Resolves to the use so far of the item and of the items that all files share. Without `item`, counts only the
   * shared ones.
   */
  useOf?(item?: T): Promise<Use>
}

/** Fields in which a lease's address differs from the main one. */
export type PostgresPlace = Partial<Pick<PostgresAddress, 'host' | 'port' | 'database' | 'parameters' | 'schema'>>

/** The database of a failed test, which is not dropped when its lease ends. */
export interface RetainedDatabase {
  readonly database: string
  /** The file or test that failed while it used the database. */
  readonly owner: string
}

/** A failed test, with the time and the databases for which the server may have logged something about it. */
export interface FailedTest {
  readonly name: string
  /** The beginning of the test, as Unix time in milliseconds; `toMs` is the end. */
  readonly fromMs: number
  readonly toMs: number
  /** Databases that the test itself has leased, in addition to that of its file. */
  readonly databases: readonly string[]
}

/** Lines of a log, oldest first. */
export interface LogExcerpt {
  readonly lines: readonly string[]
  /** The number of further lines that are left out. */
  readonly more: number
}

export interface DatabaseSource extends LeaseSource<string> {
  /** Resolves to the names of the open sessions of a database. */
  sessionsOf(database: string): Promise<readonly string[]>
  addressOf?(database: string): PostgresPlace | undefined
  /** Resolves to what the server has logged about each of these tests, which used `database`. */
  logsOf?(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]>
  /** Marks a leased database to be retained when its lease ends. */
  retain?(retained: RetainedDatabase): void
  retained?(): readonly RetainedDatabase[]
  dropRetained?(): void
}

/** A stack, and the sources of the items that can be leased from it. */
export interface LeaseSources {
  readonly stack: StackFacts
  /** The items are names of databases. */
  readonly databases: DatabaseSource
  /** The items are addresses of Redis servers, or of logical databases of one server. */
  readonly redises: LeaseSource<RedisAddress>
}

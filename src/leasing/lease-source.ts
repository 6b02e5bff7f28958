import type { StackFacts } from '../environment/infra-facts.ts'
import type { PostgresAddress, RedisAddress } from '../environment/variable-set.ts'

export type LeasedService = 'postgres' | 'redis'

/** What a test can do to the server that its file leased. */
export type ServerAction = 'restart' | 'stop' | 'start' | 'pause' | 'resume'

export interface AcquireRequest {
  readonly project: string
  /** The test file, or the file and the test; for messages. */
  readonly owner: string
  /** Whether the lease lasts until the end of its file or of its test. */
  readonly span: 'file' | 'test'
  readonly wants: readonly LeasedService[]
  readonly template: string
  /** Whether a used item will do, in the state in which its last user left it. */
  readonly reuse: boolean
  /** For a test: the lease of its file. The database of the test is on the same server. */
  readonly onServerOf?: number
  /** The id of the test, as several tests may have the same name. */
  readonly test?: string
  /** Whether the test has not begun yet. The lease counts towards the limit only from `begin()` on. */
  readonly isAhead?: boolean
}

/** How a lease ended. */
export interface ReleaseInfo {
  /** Whether the process that used the item has exited, so that nothing more can come from it. */
  readonly isUserGone: boolean
  /** The file, or the file and the test, that had the item; for messages. */
  readonly owner?: string
  /** Child processes of the file that were still running when it ended. */
  readonly processes?: readonly number[]
}

/** How an item was used before it is reset for the next file. */
export interface LastUse {
  readonly file: string
  /** The time since the file's tests and hooks ended, in milliseconds. */
  readonly idleMs: number
}

/** What one lease consists of. */
export interface Leased {
  readonly database: string | undefined
  readonly redis: RedisAddress | undefined
  /** Both are released to where they were acquired from. */
  readonly sources: LeaseSources
}

/** Numbers that only grow, by the names of what they count the use of. */
export type Counts = ReadonlyMap<string, number>

export interface Use {
  /** How many clients have connected to the leased item. */
  readonly connections: number
  /** The use of what all files share, such as the main database; empty if it was not counted. */
  readonly common: Counts
  /** Connections that may be those of users, but also our own. They show only that the service may be in use. */
  readonly others?: number
}

/** Items of one kind to lease: databases, logical databases or servers. */
export interface LeaseSource<T> {
  /** Resolves as soon as there is an item; `file` is what the file of a test has leased. */
  acquire(request: AcquireRequest, file?: Leased): Promise<T>
  /** What the last user left is removed in the background. */
  release(item: T, info: ReleaseInfo): void
  /** Empties the item while its user stays connected. */
  reset(item: T, use: LastUse): Promise<void>
  /** To be called when the file of the item has ended. Clients that use it before the reset are reported. */
  idle?(item: T): Promise<void>
  /** Controls the server of the item. Only for servers that no other lease uses. */
  control?(item: T, action: ServerAction): Promise<void>
  /** How the item and what all files share were used so far; without an item, only the latter. */
  useOf?(item?: T): Promise<Use>
}

/** Fields in which a lease's address differs from the main one. */
export type PostgresPlace = Partial<Pick<PostgresAddress, 'host' | 'port' | 'database' | 'parameters' | 'schema'>>

/** The database of a failed test, which is not dropped when its lease ends. */
export interface RetainedDatabase {
  readonly database: string
  /** The file or test that failed in it. */
  readonly owner: string
}

/** A test that failed, and where and when the server may have logged something about it. */
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
  /** How many further lines there are. */
  readonly more: number
}

export interface DatabaseSource extends LeaseSource<string> {
  /** The names of the sessions that are open. */
  sessionsOf(database: string): Promise<readonly string[]>
  addressOf?(database: string): PostgresPlace | undefined
  /** What the server has logged about each of these tests, which used this database. */
  logsOf?(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]>
  /** Retains a leased database when its lease ends. */
  retain?(retained: RetainedDatabase): void
  retained?(): readonly RetainedDatabase[]
  dropRetained?(): void
}

/** A stack, and what can be leased from it. */
export interface LeaseSources {
  readonly stack: StackFacts
  /** Items are names of databases. */
  readonly databases: DatabaseSource
  /** Items are addresses of Redis servers, or of logical databases of one server. */
  readonly redises: LeaseSource<RedisAddress>
}

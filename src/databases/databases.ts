import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { prefixOf } from '../services/database-names.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import { DatabaseDropper } from './database-dropper.ts'
import { DatabasePool } from './database-pool.ts'
import type { FailureLog } from './failure-log.ts'
import { RetainedDatabases } from './retained-databases.ts'
import type {
  AcquireRequest,
  DatabaseSource,
  LastUse,
  ReleaseInfo,
  PostgresPlace,
  RetainedDatabase,
} from '../leasing/lease-broker.ts'
import type { FailedTest, LogExcerpt } from '../leasing/lease-protocol.ts'
import type { Use } from '../leasing/lease-use.ts'
import type { TemplateSource } from './templates.ts'

/** What makes and drops them; whether they are whole databases is its own affair. */
export type DatabaseAdmin = Pick<PostgresAdmin, 'createDatabase' | 'dropDatabase' | 'sessionsOf' | 'useOf'>

/** Makes a database equal to a new clone of a template while clients stay connected. */
export type DatabaseReset = (database: string, template: string, use: LastUse) => Promise<void>

export interface DatabasesOptions {
  readonly admin: DatabaseAdmin
  readonly templates: TemplateSource
  /** Identifies the run in the names of its databases. */
  readonly runId: string
  /** How many clones of a template to keep ready. */
  readonly target: number
  readonly clock: Clock
  readonly reset: DatabaseReset
  /** What the server's log says; none: nothing. */
  readonly log?: FailureLog
  /** The fields in which a lease's address differs from the main one; none: only the name. */
  readonly addressOf?: (name: string) => PostgresPlace
  /** What its server has counted; none: there are others on it. */
  readonly countUse?: (database?: string) => Promise<Use>
}

/** The server notices a closed connection some milliseconds later. */
const LEAVE_POLL_MS = 5
const LEAVE_POLLS = 10

/** Housekeeping waits this long after a release, so that the next connections go first. */
const BREATH_MS = 20

type DatabaseRequest = Pick<AcquireRequest, 'template' | 'reuse'>

/** A leased database. */
interface Leased {
  readonly pool: DatabasePool
  readonly reuse: boolean
}

/**
 * Databases to lease: clones of templates, each for one lease. It is dropped afterwards, unless nobody has connected to
 * it, or it is to be used as it is.
 */
export class Databases implements DatabaseSource {
  /** None if the use cannot be attributed. */
  readonly useOf?: (database?: string) => Promise<Use>
  readonly #options: DatabasesOptions
  readonly #pools = new Map<string, Promise<DatabasePool>>()
  readonly #leased = new Map<string, Leased>()
  readonly #dropper: DatabaseDropper
  readonly #returning = new BackgroundTasks()
  readonly #breath = () => this.#options.clock.sleep(BREATH_MS)
  readonly #retained = new RetainedDatabases((database) => this.#dropper.drop(database))
  #templates: TemplateSource
  #poolCount = 0

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#templates = options.templates
    if (options.countUse) {
      this.useOf = options.countUse
    }
    this.#dropper = new DatabaseDropper(options)
  }

  /** From now on clones are made of these; what was made ahead of a template that changed is dropped. */
  async useTemplates(templates: TemplateSource): Promise<void> {
    const before = this.#templates
    this.#templates = templates
    for (const [name, pool] of this.#pools) {
      if (before.databaseOf(name) !== templates.databaseOf(name)) {
        this.#pools.delete(name)
        const unused = await (await pool).close()
        unused.forEach((database) => this.#dropper.drop(database))
      }
    }
  }

  /** Makes clones of a template ahead of time. */
  async warm(template: string): Promise<void> {
    const pool = await this.#poolOf(template)
    await pool.fill()
  }

  async acquire({ template, reuse }: DatabaseRequest): Promise<string> {
    const pool = await this.#poolOf(template)
    const used = reuse ? pool.acquireUsed() : undefined
    const name = used ?? (await pool.acquire())
    this.#leased.set(name, { pool, reuse })
    return name
  }

  release(database: string, info: ReleaseInfo = { isUserGone: false }): void {
    const leased = this.#leased.get(database)
    this.#leased.delete(database)
    const isUsedAgain = leased?.reuse && leased.pool.keepUsed(database)
    if (!isUsedAgain && !this.#retained.release(database)) {
      this.#returning.add(this.#reclaim(database, leased, info))
    }
  }

  async reset(database: string, use: LastUse): Promise<void> {
    const leased = this.#leased.get(database)
    if (leased) {
      await this.#options.reset(database, leased.pool.template, use)
    }
  }

  addressOf(database: string): PostgresPlace | undefined {
    return this.#options.addressOf?.(database)
  }

  sessionsOf(database: string): Promise<readonly string[]> {
    return this.#options.admin.sessionsOf(database)
  }

  async logsOf(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]> {
    return (await this.#options.log?.of(database, tests)) ?? []
  }

  retain(retained: RetainedDatabase): void {
    this.#retained.retain(retained)
  }

  retained(): readonly RetainedDatabase[] {
    return this.#retained.list()
  }

  dropRetained(): void {
    this.#retained.clear()
  }

  /** Drops every database of the run, but those that are retained; needed only where the server outlives it. */
  async close(): Promise<void> {
    for (const pool of this.#pools.values()) {
      for (const database of await (await pool).close()) {
        this.#dropper.drop(database)
      }
    }
    this.#leased.forEach((_, database) => this.#dropper.drop(database))
    await this.#returning.settle()
    await this.#dropper.close()
  }

  async #reclaim(name: string, leased: Leased | undefined, { isUserGone }: ReleaseInfo): Promise<void> {
    await this.#breath()
    // Of one that lives on, something may come later.
    const isSure = isUserGone && leased?.reuse === false
    const isBack = isSure && (await this.#isUntouched(name)) && leased.pool.reclaim(name)
    if (!isBack) {
      this.#dropper.drop(name)
    }
  }

  async #isUntouched(name: string): Promise<boolean> {
    const { admin, clock } = this.#options
    for (let count = 0; count < LEAVE_POLLS; count += 1) {
      const use = await admin.useOf(name).catch(() => 'used')
      if (use !== 'busy') {
        return use === 'none'
      }
      await clock.sleep(LEAVE_POLL_MS)
    }
    return false
  }

  #poolOf(template: string): Promise<DatabasePool> {
    const known = this.#pools.get(template)
    if (known) {
      return known
    }
    const pool = this.#openPool(template).catch((error: unknown) => {
      this.#pools.delete(template)
      throw error
    })
    this.#pools.set(template, pool)
    return pool
  }

  async #openPool(template: string): Promise<DatabasePool> {
    const { admin, runId, target } = this.#options
    this.#poolCount += 1
    const prefix = `${prefixOf(runId)}${this.#poolCount}_`
    const source = await this.#templates.ensure(template)
    return new DatabasePool({ admin, template: source, prefix, target, breath: this.#breath })
  }
}

import type { Client, QueryResultRow } from 'pg'
import { lockKey, nameRunApplication } from '../internal/names.ts'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { type ConnectionBudget, readConnectionBudget } from './connection-budget.ts'
import { openPostgres } from '../services/postgres.ts'

const RETRY_MS = 500
const RECONNECT_TIMEOUT_MS = 10_000

export interface RunClaimOptions {
  readonly runId: string
  /** Number of connections that the run needs. */
  readonly connections: number
  readonly clock: Clock
}

/**
 * The claims of a run on a PostgreSQL that others use too. They are advisory locks of one session: one on the run's id,
 * and one on each template that the run uses. The server releases them however the run ends, so a free lock proves that
 * the run has ended.
 */
export class RunClaim {
  readonly #address: PostgresAddress
  readonly #clock: Clock
  /** For each lock, by key: the function that acquires it. */
  readonly #locks = new Map<string, 'pg_advisory_lock' | 'pg_advisory_lock_shared'>()
  readonly #closing = new AbortController()
  readonly #connections: number
  /** Start time of the run by the server's clock, in microseconds. */
  #ticket: string | undefined
  #session: Promise<Client>

  private constructor(address: PostgresAddress, { connections, clock }: RunClaimOptions) {
    this.#address = address
    this.#connections = connections
    this.#clock = clock
    this.#session = this.#open()
  }

  /**
   * Claims the id of a run. All runs must connect to the same database in `address`, as advisory locks apply to a
   * single database.
   */
  static async hold(address: PostgresAddress, options: RunClaimOptions): Promise<RunClaim> {
    const { runId } = options
    const claim = new RunClaim(address, options)
    try {
      if (!(await claim.#tryLock(lockKey.ofRun(runId)))) {
        throw idTaken(runId)
      }
      claim.#locks.set(lockKey.ofRun(runId), 'pg_advisory_lock')
      return claim
    } catch (error) {
      await claim.close()
      throw error
    }
  }

  /** Prevents other runs from dropping a template while this run lasts. */
  async holdTemplate(database: string): Promise<void> {
    const key = lockKey.ofTemplate(database)
    if (!this.#locks.has(key)) {
      await lock(await this.#session, key, 'pg_advisory_lock_shared')
      // The lock is recorded only once it is held, as a second caller would otherwise rely on it too early.
      this.#locks.set(key, 'pg_advisory_lock_shared')
    }
  }

  /** If the run has ended, runs `work` and prevents other runs from doing so at the same time. */
  ifOver(runId: string, work: () => Promise<void>): Promise<void> {
    return this.#ifFree(lockKey.ofRun(runId), work)
  }

  /** If no run uses the template, runs `work` and prevents the use of the template meanwhile. */
  ifUnused(database: string, work: () => Promise<void>): Promise<void> {
    return this.#ifFree(lockKey.ofTemplate(database), work)
  }

  /** Runs a query in the session that holds the claims. */
  async query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    const { rows } = await (await this.#session).query<Row>(text, values as unknown[] | undefined)
    return rows
  }

  async readBudget(): Promise<ConnectionBudget> {
    return readConnectionBudget(await this.#session, { ticket: this.#ticket ?? '0', connections: this.#connections })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#session.then(
      (session) => session.end(),
      () => {},
    )
  }

  async #ifFree(key: string, work: () => Promise<void>): Promise<void> {
    // A lock of this run must be skipped, as a session can acquire its own lock a second time.
    if (this.#locks.has(key) || !(await this.#tryLock(key))) {
      return
    }
    try {
      await work()
    } finally {
      await (await this.#session).query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [key])
    }
  }

  async #tryLock(key: string): Promise<boolean> {
    const { rows } = await (
      await this.#session
    ).query<{ taken: boolean }>('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken', [key])
    return rows[0]?.taken === true
  }

  async #open(): Promise<Client> {
    const session = await openPostgres({ ...this.#address, keepAlive: true })
    this.#ticket ??= await readTime(session)
    // Other runs read the start time and the needs of this run from the name of its session.
    await session.query(
      "SELECT set_config('application_name', $1, false), set_config('idle_session_timeout', '0', false)",
      [nameRunApplication(this.#ticket, this.#connections)],
    )
    for (const [key, how] of this.#locks) {
      await lock(session, key, how)
    }
    session.once('end', () => {
      if (!this.#closing.signal.aborted) {
        this.#session = this.#reopen()
        // The rejection is ignored here, as the next query rejects for the same reason.
        this.#session.catch(() => {})
      }
    })
    return session
  }

  /**
   * Reconnects and acquires the locks again. A server restart or a broken connection releases them, but the run
   * continues.
   */
  async #reopen(): Promise<Client> {
    const deadlineMs = this.#clock.now() + RECONNECT_TIMEOUT_MS
    for (;;) {
      try {
        return await this.#open()
      } catch (error) {
        if (this.#closing.signal.aborted || this.#clock.now() > deadlineMs) {
          throw error
        }
        await this.#clock.sleep(RETRY_MS)
      }
    }
  }
}

async function readTime(session: Client): Promise<string> {
  const { rows } = await session.query<{ us: string }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS us',
  )
  return rows[0]?.us ?? '0'
}

async function lock(session: Client, key: string, how: string): Promise<void> {
  await session.query(`SELECT ${how}(hashtextextended($1, 0))`, [key])
}

function idTaken(runId: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot claim databases for run ${runId}: another run on the server has the same id`,
    remedy: 'Run the tests again; ids are random',
    service: 'postgres',
    provider: 'external',
  })
}

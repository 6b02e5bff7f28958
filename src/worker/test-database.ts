import { AsyncLocalStorage } from 'node:async_hooks'
import type { Pool } from 'pg'
import type { RunnerTask, RunnerTestCase } from 'vitest'
import type { Lease } from '../leasing/lease-client.ts'
import { acquireForTest, type CurrentLease, type NextDatabase, type OpenedDatabase } from './file-lease.ts'
import type { FixtureDriver, FixturePool } from './fixture-pool.ts'
import type { NextSession } from './next-session.ts'

/** Opens the next database outside the async context of the running test. */
const outsideOfTests = AsyncLocalStorage.snapshot()

/**
 * A database for one test: an unused clone, which is not reused. The database of the next test is leased and connected
 * while this one runs.
 */
export class TestDatabase {
  readonly #lease: Lease
  readonly #session: NextSession | undefined
  readonly #held: CurrentLease
  readonly #task: Readonly<RunnerTestCase>
  #pool: FixturePool | undefined
  #isShown = false

  private constructor({ lease, session }: OpenedDatabase, held: CurrentLease, task: Readonly<RunnerTestCase>) {
    this.#lease = lease
    this.#session = session
    this.#held = held
    this.#task = task
  }

  static async acquire(held: CurrentLease, task: Readonly<RunnerTestCase>): Promise<TestDatabase> {
    const owner = ownerOf(held, task)
    const prepared = await held.next.pop()?.begin(owner, task.id)
    const request = { owner, test: task.id, wants: ['postgres'] } as const
    const opened = prepared ?? { lease: await acquireForTest(held, request), session: undefined }
    return new TestDatabase(opened, held, task)
  }

  /** Once a test has read the address, it may change session defaults, so the session opened ahead is not used. */
  get address(): { readonly database: string; readonly url: string } {
    this.#isShown = true
    return this.#lease.facts.postgres
  }

  /** Opens the pool at its first use. */
  openPool(driver: FixtureDriver): Pool {
    if (!this.#pool) {
      const { client, next } = this.#held
      this.#pool = driver.openPool({
        url: this.#lease.facts.postgres.url,
        session: this.#isShown ? undefined : this.#session,
        onForgotten: () => client.finish(this.#lease.lease, ownerOf(this.#held, this.#task)).catch(() => {}),
      })
      if (next.length === 0 && hasTestsLeft(this.#task.file)) {
        next.push(outsideOfTests(() => new PreparedDatabase(this.#held, driver.openSession)))
      }
    }
    return this.#pool.pool
  }

  /** Closes the pool, and retains the database if its test failed, else releases it. */
  async release(): Promise<void> {
    try {
      await this.#pool?.close()
      // After the pool: the pool may use this session, and waits for its queries.
      await this.#session?.close()
    } finally {
      const { result, fails } = this.#task
      await (result?.state === 'fail' && !fails ? this.#retain() : undefined)
      // Not awaited: the next test does not need it, and a run that is ending no longer answers.
      void this.#held.client.release(this.#lease.lease).catch(() => {})
    }
  }

  async #retain(): Promise<void> {
    const { client, testDatabases } = this.#held
    const { id } = this.#task
    testDatabases.set(id, [...(testDatabases.get(id) ?? []), this.#lease.facts.postgres.database])
    if (willRetry(this.#task)) {
      return
    }
    const owner = ownerOf(this.#held, this.#task)
    await client.failed(this.#lease.lease, { owner, retain: true, tests: [] }).catch(() => {})
  }
}

class PreparedDatabase implements NextDatabase {
  readonly #file: CurrentLease
  readonly #opened: Promise<OpenedDatabase | undefined>

  constructor(file: CurrentLease, openSession: (url: string) => Promise<NextSession>) {
    this.#file = file
    // If this fails, the test leases a database itself and reports the failure.
    this.#opened = this.#open(openSession).catch(() => undefined)
  }

  async begin(owner: string, test: string): Promise<OpenedDatabase | undefined> {
    const opened = await this.#opened
    if (!opened) {
      return undefined
    }
    const { lease, session } = opened
    try {
      const [isCurrent] = await Promise.all([session?.isCurrent(), this.#file.client.begin(lease.lease, owner, test)])
      if (isCurrent) {
        return opened
      }
      // Not awaited: dropping the database waits for its sessions to end.
      void session?.close()
      return { lease, session: undefined }
    } catch {
      await this.release()
      return undefined
    }
  }

  async release(): Promise<void> {
    const opened = await this.#opened
    if (opened) {
      await opened.session?.close()
      // A run that is ending no longer answers.
      void this.#file.client.release(opened.lease.lease).catch(() => {})
    }
  }

  async #open(openSession: (url: string) => Promise<NextSession>): Promise<OpenedDatabase> {
    const { owner } = this.#file
    const lease = await acquireForTest(this.#file, { owner, wants: ['postgres'], isAhead: true })
    return { lease, session: await openSession(lease.facts.postgres.url).catch(() => undefined) }
  }
}

function ownerOf(held: CurrentLease, task: Readonly<RunnerTestCase>): string {
  return `${held.owner} > ${task.name}`
}

/** Whether a failed test will be retried, and may yet pass. */
function willRetry({ retry = 0, result }: Readonly<RunnerTestCase>): boolean {
  const retries = typeof retry === 'number' ? retry : (retry.count ?? 0)
  return (result?.retryCount ?? 0) < retries
}

/** Whether a file has tests that have not started. */
function hasTestsLeft(task: RunnerTask): boolean {
  if (task.mode === 'skip' || task.mode === 'todo') {
    return false
  }
  return 'tasks' in task ? task.tasks.some(hasTestsLeft) : (task.result?.state ?? 'queued') === 'queued'
}

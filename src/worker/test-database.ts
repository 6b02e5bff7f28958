import { AsyncLocalStorage } from 'node:async_hooks'
import type { Pool } from 'pg'
import type { RunnerTask, RunnerTestCase } from 'vitest'
import type { Lease } from '../leasing/lease-client.ts'
import { acquireForTest, type CurrentLease, type NextDatabase, type OpenedDatabase } from './file-lease.ts'
import type { FixtureDriver, FixturePool } from './fixture-pool.ts'
import type { NextSession } from './next-session.ts'

/** Runs a function outside the async context of the running test. The next database is opened this way. */
const outsideOfTests = AsyncLocalStorage.snapshot()

/**
 * A database for one test: an unused clone, which is not reused afterwards. The database for the next test is leased
 * and connected while this test runs.
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

  /**
   * Database name and URL for the test. A test that has read them may change session defaults, so the session that was
   * opened ahead of time is then not used.
   */
  get address(): { readonly database: string; readonly url: string } {
    this.#isShown = true
    return this.#lease.facts.postgres
  }

  /** Returns the pool; opens it on the first call. */
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

  /** Closes the pool. Retains the database if its test has failed, and releases it otherwise. */
  async release(): Promise<void> {
    try {
      await this.#pool?.close()
      // The session is closed after the pool, as the pool may use it and waits for its queries.
      await this.#session?.close()
    } finally {
      const { result, fails } = this.#task
      await (result?.state === 'fail' && !fails ? this.#retain() : undefined)
      // The release is not awaited: the next test does not need it, and a run that is ending no longer answers.
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
    // If this fails, the test itself leases a database and reports the failure.
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
      // The session's end is not awaited, as the drop of the database waits until its sessions are closed.
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
      // The release is not awaited, as a run that is ending no longer answers.
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

/** Whether a failed test will be retried and may still pass. */
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

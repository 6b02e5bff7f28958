import { AsyncLocalStorage } from 'node:async_hooks'
import type { Pool } from 'pg'
import type { RunnerTask, RunnerTestCase } from 'vitest'
import type { CurrentLease } from './file-lease.ts'
import type { FixtureDriver, FixturePool } from './fixture-pool.ts'
import type { Lease } from '../leasing/lease-protocol.ts'
import { NextDatabase, type OpenedDatabase } from './next-database.ts'
import type { NextSession } from './next-session.ts'

/** What is opened ahead is nothing of the test that runs meanwhile. */
const outsideOfTests = AsyncLocalStorage.snapshot()

/**
 * A database for one test: an unused clone, which is not used again. The next test's is leased and
 * connected to while this one runs.
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
    const opened = (await held.next.pop()?.begin(owner, task.id)) ?? (await acquire(held, owner, task.id))
    return new TestDatabase(opened, held, task)
  }

  /** A test that reads the address may connect to it and change defaults of sessions before the pool is opened. */
  get address(): { readonly database: string; readonly url: string } {
    this.#isShown = true
    return this.#lease.facts.postgres
  }

  /** Opened at its first use. */
  openPool(driver: FixtureDriver): Pool {
    if (!this.#pool) {
      const { client, next } = this.#held
      this.#pool = driver.openPool({
        url: this.#lease.facts.postgres.url,
        session: this.#isShown ? undefined : this.#session,
        onForgotten: () => client.finish(this.#lease.lease, ownerOf(this.#held, this.#task)).catch(() => {}),
      })
      if (next.length === 0 && hasTestsLeft(this.#task.file)) {
        next.push(outsideOfTests(() => NextDatabase.prepare(this.#held, driver.openSession)))
      }
    }
    return this.#pool.pool
  }

  /** Closes the pool; the database is retained for you where its test failed, or released. */
  async release(): Promise<void> {
    try {
      await this.#pool?.close()
      // Not before the pool: it may have the session, and waits for queries that still run in it.
      await this.#session?.close()
    } finally {
      const { result, fails } = this.#task
      await (result?.state === 'fail' && !fails ? this.#retain() : undefined)
      // Not awaited: the next test need not wait for it, and a run that is being ended does not answer any more.
      void this.#held.client.release(this.#lease.lease).catch(() => {})
    }
  }

  async #retain(): Promise<void> {
    const { client, testDatabases } = this.#held
    const { id } = this.#task
    testDatabases.set(id, [...(testDatabases.get(id) ?? []), this.#lease.facts.postgres.database])
    if (isTriedAgain(this.#task)) {
      return
    }
    const owner = ownerOf(this.#held, this.#task)
    await client.failed(this.#lease.lease, { owner, retain: true, tests: [] }).catch(() => {})
  }
}

async function acquire(held: CurrentLease, owner: string, test: string): Promise<OpenedDatabase> {
  const { client, access, lease: file } = held
  const { project } = access
  const { template, lease: beside } = file
  const request = { project, owner, test, span: 'test', wants: ['postgres'], template, reuse: false, beside } as const
  return { lease: await client.acquire(request), session: undefined }
}

function ownerOf(held: CurrentLease, task: Readonly<RunnerTestCase>): string {
  return `${held.owner} > ${task.name}`
}

/** Whether a test that has failed is about to have another try, which may pass. */
function isTriedAgain({ retry = 0, result }: Readonly<RunnerTestCase>): boolean {
  const retries = typeof retry === 'number' ? retry : (retry.count ?? 0)
  return (result?.retryCount ?? 0) < retries
}

/** Whether tests of a file are yet to begin. */
function hasTestsLeft(task: RunnerTask): boolean {
  if (task.mode === 'skip' || task.mode === 'todo') {
    return false
  }
  return 'tasks' in task ? task.tasks.some(hasTestsLeft) : (task.result?.state ?? 'queued') === 'queued'
}

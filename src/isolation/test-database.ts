import type { Client, Pool } from 'pg'
import type { RunnerTestCase } from 'vitest'
import type { CurrentLease } from './file-lease.ts'
import type { FixturePool, OpenFixturePool } from './fixture-pool.ts'
import { KeptSession } from './kept-session.ts'
import type { Lease, Renewed } from './lease-protocol.ts'
import { readBaseline } from './baseline.ts'
import { Renewal } from './renewal.ts'

/**
 * A database for one test: a new clone, or the one of the test before, where it is certain that it was made equal to a
 * new one. A renewal costs the machine about 2 ms of computing; to clone, connect, fill caches and drop, more than 20.
 */
export class TestDatabase {
  readonly #lease: Lease
  readonly #session = new KeptSession()
  #held: CurrentLease
  #owner: string
  #pool: FixturePool | undefined
  #renewal: Promise<Renewal | undefined> | undefined
  #renewing: Promise<boolean> | undefined
  #isShown = false

  private constructor(lease: Lease, held: CurrentLease, owner: string) {
    this.#lease = lease
    this.#held = held
    this.#owner = owner
  }

  static async take(held: CurrentLease, test: string): Promise<TestDatabase> {
    for (let spare = held.spares.pop(); spare; spare = held.spares.pop()) {
      if (spare instanceof TestDatabase && (await spare.#renewing)) {
        spare.#held = held
        spare.#owner = test
        return spare
      }
      await spare.giveBack()
    }
    const { client, access, owner: file, lease: fileLease } = held
    const { template, lease: beside } = fileLease
    const owner = `${file} > ${test}`
    const { project } = access
    const request = { project, owner, span: 'test', wants: ['postgres'], template, reuse: false, beside } as const
    const lease = await client.acquire(request)
    const database = new TestDatabase(lease, held, test)
    database.#renewal = lease.renewed && Promise.resolve(Renewal.resume(lease.renewed.state))
    return database
  }

  /** Whoever knows the address may connect at any time, so that this database is for one test only. */
  get address(): { readonly database: string; readonly url: string } {
    this.#isShown = true
    return this.#lease.facts.postgres
  }

  /** Opened at its first use. */
  openPool(open: OpenFixturePool): Pool {
    this.#pool ??= open({
      url: this.#lease.facts.postgres.url,
      session: this.#session,
      onConnect: async (client) => {
        // What is counted is counted by database, and so says nothing of one of its schemas.
        if (this.#lease.facts.postgres.schema !== undefined) {
          return
        }
        await (this.#renewal ??= this.#session.withoutLook(() => beginRenewal(client as Client)))
      },
      onForgotten: () => this.#held.client.finish(this.#lease.lease, this.#fullOwner).catch(() => {}),
    })
    return this.#pool.pool
  }

  /** Closes the pool; the database is kept for the next test of the file, for people where it failed, or given back. */
  async give(task: Readonly<RunnerTestCase>): Promise<void> {
    try {
      await this.#pool?.close()
    } finally {
      this.#pool = undefined
      const isFailed = task.result?.state === 'fail' && !task.fails
      const renewal = isFailed ? undefined : await this.#renewal
      if (!this.#isShown && this.#session.isParked && renewal) {
        // Not awaited: the test is over, and between two tests there is time.
        this.#renewing = renewal.renew((queries) => this.#session.ask(queries))
        this.#held.spares.push(this)
      } else {
        await (isFailed ? this.#keep(task) : undefined)
        this.#drop()
      }
    }
  }

  /** Gives the database back for good, as equal to a new clone where it is. */
  async giveBack(): Promise<void> {
    const renewal = (await this.#renewing) ? await this.#renewal : undefined
    this.#drop(renewal && { sessions: renewal.state.sessions, state: renewal.state })
  }

  #drop(renewed?: Renewed): void {
    this.#session.close()
    // Not awaited: the next test need not wait for it, and a run that is being ended does not answer any more.
    void this.#held.client.release(this.#lease.lease, renewed).catch(() => {})
  }

  get #fullOwner(): string {
    return `${this.#held.owner} > ${this.#owner}`
  }

  async #keep(task: Readonly<RunnerTestCase>): Promise<void> {
    const { client, testDatabases } = this.#held
    testDatabases.set(task.id, [...(testDatabases.get(task.id) ?? []), this.#lease.facts.postgres.database])
    if (isTriedAgain(task)) {
      return
    }
    await client.failed(this.#lease.lease, { owner: this.#fullOwner, keep: true, tests: [] }).catch(() => {})
  }
}

/** Whether a test that has failed is about to have another try, which may pass. */
function isTriedAgain({ retry = 0, result }: Readonly<RunnerTestCase>): boolean {
  const retries = typeof retry === 'number' ? retry : (retry.count ?? 0)
  return (result?.retryCount ?? 0) < retries
}

async function beginRenewal(client: Client): Promise<Renewal | undefined> {
  const baseline = await readBaseline(client)
  return baseline && Renewal.begin(client, baseline)
}

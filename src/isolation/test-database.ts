import type { Client, Pool } from 'pg'
import type { RunnerTestCase } from 'vitest'
import type { CurrentLease } from './file-lease.ts'
import { FixturePool } from './fixture-pool.ts'
import { KeptSession } from './kept-session.ts'
import type { Lease } from './lease-protocol.ts'
import { SessionStream } from './session-stream.ts'
import { readBaseline } from './baseline.ts'
import { Renewal } from './renewal.ts'

/**
 * A database for one test: a new clone, or the one of the test before, where it is certain that it was made equal to a
 * new one. A renewal costs the machine about 2 ms of computing; to clone, connect, fill caches and drop, more than 20.
 */
export class TestDatabase {
  readonly #lease: Lease
  readonly #session = new KeptSession()
  readonly #openStream = () => new SessionStream(this.#session)
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
      spare.drop()
    }
    const { client, access, owner: file, lease: fileLease } = held
    const { template, lease: beside } = fileLease
    const owner = `${file} > ${test}`
    const { project } = access
    const request = { project, owner, span: 'test', wants: ['postgres'], template, reuse: false, beside } as const
    const lease = await client.acquire(request)
    return new TestDatabase(lease, held, test)
  }

  /** Whoever knows the address may connect at any time, so that this database is for one test only. */
  get address(): { readonly database: string; readonly url: string } {
    this.#isShown = true
    return this.#lease.facts.postgres
  }

  /** Opened at its first use. */
  openPool(open: Awaited<ReturnType<typeof FixturePool.load>>): Pool {
    this.#pool ??= open({
      url: this.#lease.facts.postgres.url,
      name: this.#owner,
      stream: this.#openStream,
      onConnect: async (client) => {
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
        this.#renewing = this.#renew(renewal)
        this.#held.spares.push(this)
      } else {
        await (isFailed ? this.#keep(task) : undefined)
        this.drop()
      }
    }
  }

  drop(): void {
    this.#session.close()
    // Not awaited: the next test need not wait for it, and a run that is being ended does not answer any more.
    void this.#held.client.release(this.#lease.lease).catch(() => {})
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

  async #renew(renewal: Renewal): Promise<boolean> {
    const { default: pg } = await import('pg')
    const { url: connectionString } = this.#lease.facts.postgres
    const client = new pg.Client({ connectionString, stream: this.#openStream, pipeline: true })
    client.on('error', () => {})
    try {
      const isRenewed = await this.#session.withoutLook(async () => {
        await client.connect()
        return renewal.renew(client)
      })
      await client.end()
      return isRenewed && this.#session.isParked
    } catch {
      // Whatever it was that the last test left, the database is dropped.
      await client.end().catch(() => {})
      return false
    }
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

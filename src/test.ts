import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Client, Pool } from 'pg'
import { inject, type RunnerTestCase, test as base } from 'vitest'
import type { StackFacts } from './environment/infra-facts.ts'
import { InfraError } from './errors.ts'
import { acquireForTest, type CurrentLease, currentLease, heldLease, leasesDatabase } from './worker/file-lease.ts'
import { FixturePool } from './worker/fixture-pool.ts'
import { FixtureTransaction } from './worker/fixture-transaction.ts'
import { LeasedServer, type ServiceControl } from './worker/leased-server.ts'
import { inSavepoint } from './worker/savepoint.ts'
import type { Lease } from './leasing/lease-client.ts'
import type { LeasedService } from './leasing/lease-source.ts'
import { TestDatabase as LeasedDatabase } from './worker/test-database.ts'
import type { TemplateName } from './register.ts'

export type { ServiceControl } from './worker/leased-server.ts'

/** How long to wait for a client's connection to close. */
const CLOSE_TIMEOUT_MS = 500

/** A database that only this test uses. */
export interface TestDatabase {
  readonly name: string
  /** `postgres://…` URL of this database. */
  readonly url: string
  /** A connection pool, opened at first use and closed after the test. */
  readonly pool: Pool
}

/** A client inside a transaction that is rolled back after the test. */
export interface TestTransaction {
  readonly client: Client
  /** Runs `work` in a savepoint. If it throws, its changes are undone and the transaction continues. */
  nested<T>(work: (client: Client) => Promise<T>): Promise<T>
}

export interface InfraFixtures {
  /** Facts about this file's lease: the addresses of its database and its Redis. */
  readonly infra: StackFacts
  /** A new clone of the template for this test only. */
  readonly database: TestDatabase
  /** A client on this file's database, in a transaction that is rolled back after the test. */
  readonly transaction: TestTransaction
  /** A client on an empty Redis for this test only. */
  readonly redis: Redis
  /**
   * The servers to which `process.env` of this file points. PostgreSQL keeps its data over a restart, Redis only if
   * `redis.args` enable persistence. A server that a test leaves stopped or paused is started again after the test.
   */
  readonly services: Readonly<Record<LeasedService, ServiceControl>>
}

/**
 * Vitest's `test` with fixtures for single tests. Clients are closed after the test. Extend it like any other `test`.
 *
 * @example
 * test('an order is stored', async ({ database, redis }) => { … })
 */
export const test = base.extend<InfraFixtures>({
  // Vitest reads the names of the fixtures that are used from this pattern.
  // oxlint-disable-next-line no-empty-pattern
  infra: async ({}, use) => {
    await use((await requireLease()).lease.facts)
  },
  database: async ({ task }, use) => {
    const driver = await FixturePool.load(process.env)
    const leased = await LeasedDatabase.acquire(await requireLease(), task)
    try {
      await use({
        get name() {
          return leased.address.database
        },
        get url() {
          return leased.address.url
        },
        get pool() {
          return leased.openPool(driver)
        },
      })
    } finally {
      await leased.release()
    }
  },
  // oxlint-disable-next-line no-empty-pattern
  transaction: async ({}, use) => {
    const { lease, transactions } = await requireLease()
    await transactions.begin()
    try {
      const transaction = await FixtureTransaction.begin(lease.facts.postgres.url)
      const { client } = transaction
      await use({ client, nested: (work) => inSavepoint(client, work) })
      await transaction.close()
    } finally {
      transactions.end()
    }
  },
  redis: async ({ task }, use) => {
    const { Redis: RedisClient } = await import('ioredis')
    await withTestRedis(task, async ({ facts }) => {
      const client = new RedisClient(facts.redis.url)
      client.on('error', () => {})
      const ended = new Promise((resolve) => client.once('end', resolve))
      await use(client)
      client.disconnect()
      // A client that is waiting to reconnect emits no "end" event.
      await Promise.race([ended, sleep(CLOSE_TIMEOUT_MS)])
    })
  },
  // oxlint-disable-next-line no-empty-pattern
  services: async ({}, use) => {
    const current = await requireLease()
    const [postgres, redis] = [new LeasedServer(current, 'postgres'), new LeasedServer(current, 'redis')]
    await use({ postgres, redis })
    await Promise.all([postgres.restore(), redis.restore()])
  },
})

/**
 * Selects the template from which the database of this test file is cloned. Call it at the top of the file, with the
 * name as a string literal: the name is read from the file's source, as the database must exist before the file's
 * imports run.
 *
 * @throws InfraError `INFRA_TEMPLATE_UNDECLARED` if the name could not be read from the source
 * @example
 * useTemplate('reference')
 */
export function useTemplate(name: TemplateName): void {
  const held = heldLease()
  // In list mode Vitest imports the files but does not run them.
  if (!held && !inject('infra')) {
    refuse()
  }
  if (held && held.lease.template !== name) {
    throw templateUndeclared(name, held)
  }
}

function templateUndeclared(name: string, { access, lease }: Pick<CurrentLease, 'access' | 'lease'>): InfraError {
  return new InfraError('INFRA_TEMPLATE_UNDECLARED', {
    problem: leasesDatabase(access)
      ? `Cannot use template "${name}": this file got "${lease.template}" before its imports ran`
      : `Cannot use template "${name}": the files of this project use the main database`,
    remedy: leasesDatabase(access)
      ? `Write useTemplate('${name}') with the name as a string literal, in the test file itself`
      : "Set isolation to 'file' or 'worker', with 'postgres' among services",
    service: 'postgres',
  })
}

/** Leases a Redis for one test and releases it, even if the test fails. */
async function withTestRedis(
  { name, id }: Pick<RunnerTestCase, 'name' | 'id'>,
  work: (lease: Lease) => Promise<void>,
): Promise<void> {
  const current = await requireLease()
  const request = { owner: `${current.owner} > ${name}`, test: id, wants: ['redis'] } as const
  const lease = await acquireForTest(current, request)
  try {
    await work(lease)
  } finally {
    // Not awaited: the next test does not need it, and a run that is ending no longer answers.
    void current.client.release(lease.lease).catch(() => {})
  }
}

async function requireLease(): Promise<CurrentLease> {
  return (await currentLease()) ?? refuse()
}

function refuse(): never {
  throw new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot use vitest-infra/test: this project ${inject('infra') ? 'has no services' : 'does not have the plugin'}`,
    remedy: inject('infra')
      ? "Add 'postgres' or 'redis' to services"
      : 'Add infra() to plugins of this project in vitest.config.ts',
  })
}

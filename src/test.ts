import type { Redis } from 'ioredis'
import type { Client, Pool } from 'pg'
import { test as base } from 'vitest'
import type { StackFacts } from './environment/infra-facts.ts'
import { InfraError } from './errors.ts'
import { type CurrentLease, currentLease, heldLease } from './isolation/file-lease.ts'
import type { Lease, LeasedService } from './isolation/lease-protocol.ts'
import type { TemplateName } from './spec/infra-options.ts'

/** A database that belongs to one test. */
export interface TestDatabase {
  readonly name: string
  /** `postgres://…` of this database. */
  readonly url: string
  /** Opened at its first use and closed for you after the test. */
  readonly pool: Pool
}

/** A client inside a transaction that is rolled back after the test. */
export interface TestTransaction {
  readonly client: Client
  /** Runs `work` in a savepoint; when it throws, what it did is undone and the transaction goes on. */
  nested<T>(work: (client: Client) => Promise<T>): Promise<T>
}

export interface InfraFixtures {
  /** The facts of this file's lease: where its own database and its own Redis are. */
  readonly infra: StackFacts
  /** A fresh clone of the template, for this test alone. */
  readonly database: TestDatabase
  /** A client on this file's database, inside a transaction that is rolled back after the test. */
  readonly transaction: TestTransaction
  /** A client on a Redis of this test's own. */
  readonly redis: Redis
}

/**
 * Vitest's `test` with fixtures for single tests. Clients are closed for you; extend it as any other `test`.
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
    const { default: pg } = await import('pg')
    await withTestLease('postgres', task.name, async ({ facts }) => {
      const { database: name, url } = facts.postgres
      let pool: Pool | undefined
      const open = () => {
        // A client that the server cuts off while it is idle concerns nobody.
        return new pg.Pool({ connectionString: url, application_name: task.name.slice(0, 63) }).on('error', () => {})
      }
      await use({
        name,
        url,
        get pool() {
          return (pool ??= open())
        },
      })
      await pool?.end()
    })
  },
  transaction: async ({ infra }, use) => {
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: infra.postgres.url, application_name: 'vitest-infra transaction' })
    client.on('error', () => {})
    await client.connect()
    await client.query('BEGIN')
    await use({ client, nested: (work) => inSavepoint(client, work) })
    try {
      await client.query('ROLLBACK')
    } finally {
      await client.end()
    }
  },
  redis: async ({ task }, use) => {
    await withTestLease('redis', task.name, async ({ facts }) => {
      const { Redis: RedisClient } = await import('ioredis')
      const client = new RedisClient(facts.redis.url)
      client.on('error', () => {})
      await use(client)
      client.disconnect()
    })
  },
})

/**
 * Says which template the database of this test file is a clone of. Write it at the top of the file, with the name as
 * plain text: it is read from the file's source, because the database has to be there before the file's imports.
 *
 * @throws InfraError `INFRA_TEMPLATE_UNDECLARED` if the name could not be read from the source
 * @example
 * useTemplate('reference')
 */
export function useTemplate(name: TemplateName): void {
  const lease = heldLease() ?? refuse()
  if (lease.template !== name) {
    throw new InfraError('INFRA_TEMPLATE_UNDECLARED', {
      problem: `Cannot use template "${name}": this file was given "${lease.template}" before its imports ran`,
      remedy: `Write useTemplate('${name}') with the name as plain text, in the test file itself`,
      service: 'postgres',
    })
  }
}

/** Leases something for one test and gives it back however the test ends. */
async function withTestLease(
  service: LeasedService,
  owner: string,
  work: (lease: Lease) => Promise<void>,
): Promise<void> {
  const { client, access, lease: fileLease } = await requireLease()
  const lease = await client.acquire({
    project: access.project,
    owner,
    wants: [service],
    template: fileLease.template,
  })
  try {
    await work(lease)
  } finally {
    await client.release(lease.lease)
  }
}

async function requireLease(): Promise<CurrentLease> {
  return (await currentLease()) ?? refuse()
}

function refuse(): never {
  throw new InfraError('INFRA_LEASE_FAILED', {
    problem: 'Cannot use vitest-infra/test: this project does not have the plugin',
    remedy: 'Add infra() to plugins of this project in vitest.config.ts',
  })
}

let savepoints = 0

async function inSavepoint<T>(client: Client, work: (client: Client) => Promise<T>): Promise<T> {
  savepoints += 1
  const name = `vitest_infra_${savepoints}`
  await client.query(`SAVEPOINT ${name}`)
  try {
    const result = await work(client)
    await client.query(`RELEASE SAVEPOINT ${name}`)
    return result
  } catch (error) {
    await client.query(`ROLLBACK TO SAVEPOINT ${name}`)
    throw error
  }
}

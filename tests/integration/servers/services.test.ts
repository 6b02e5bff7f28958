import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { LeasedService } from '../../../src/leasing/lease-source.ts'
import type { InfraOptions } from '../../../src/config/infra-options.ts'
import { connect, type PostgresStack, startPostgresStack, valuesOf } from './postgres-support.ts'
import { openRedis } from './redis-support.ts'

vi.setConfig({ testTimeout: 30_000 })

const BOTH = ['postgres', 'redis'] as const
const SAVING = ['--appendonly', 'yes', '--appendfsync', 'always']

function openPool({ postgres }: { readonly postgres: { readonly url: string } }): pg.Pool {
  const pool = new pg.Pool({ connectionString: postgres.url })
  pool.on('error', () => {})
  onTestFinished(() => pool.end())
  return pool
}

function ask(pool: pg.Pool): Promise<unknown> {
  return pool.query('SELECT 1').then(
    () => 'answered',
    (error: Error) => error.message,
  )
}

/** Whether a promise settles within a generous time. */
async function isPending(work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => false), sleep(300, true)])
}

describe('servers of their own', () => {
  let stack: PostgresStack
  beforeAll(async () => {
    stack = await startPostgresStack({ services: BOTH })
  }, 60_000)
  afterAll(() => stack.stop())

  const lease = () => stack.lease({ wants: BOTH })

  test('a pool of pg and a client of ioredis connect again after a restart', async () => {
    const { lease: id, facts } = await lease()
    const [pool, redis] = [openPool(facts), openRedis(facts.redis)]
    await pool.query('CREATE TABLE notes AS SELECT 1 AS n')
    await redis.set('key', 'value')
    const reconnecting = new Promise((resolve) => redis.once('reconnecting', resolve))
    await Promise.all(BOTH.map((service) => stack.leases.control(id, service, 'restart')))
    await reconnecting
    expect((await pool.query('SELECT n FROM notes')).rows).toEqual([{ n: 1 }])
    // Redis saves nothing unless configured.
    expect(await redis.get('key')).toBeNull()
  })

  test('a stopped PostgreSQL refuses connections and has its data after a start', async () => {
    const { lease: id, facts } = await lease()
    const pool = openPool(facts)
    await pool.query('CREATE TABLE notes AS SELECT 1 AS n')
    await stack.leases.control(id, 'postgres', 'stop')
    expect(await ask(pool)).not.toBe('answered')
    await stack.leases.control(id, 'postgres', 'start')
    expect((await pool.query('SELECT n FROM notes')).rows).toEqual([{ n: 1 }])
  })

  test('a paused server keeps its connections and answers after it resumes', async () => {
    const { lease: id, facts } = await lease()
    const [pool, redis] = [openPool(facts), openRedis(facts.redis)]
    await Promise.all([pool.query('CREATE TABLE notes AS SELECT 1 AS n'), redis.set('key', 'value')])
    await Promise.all(BOTH.map((service) => stack.leases.control(id, service, 'pause')))
    const rows = pool.query('SELECT n FROM notes').then((result) => result.rows)
    const value = redis.get('key')
    expect(await Promise.all([isPending(rows), isPending(value)])).toEqual([true, true])
    await Promise.all(BOTH.map((service) => stack.leases.control(id, service, 'resume')))
    expect([await rows, await value]).toEqual([[{ n: 1 }], 'value'])
  })

  test('start() resumes a paused server and leaves a running one alone', async () => {
    const { lease: id, facts } = await lease()
    const redis = openRedis(facts.redis)
    await redis.set('key', 'value')
    await stack.leases.control(id, 'redis', 'start')
    await stack.leases.control(id, 'redis', 'pause')
    await stack.leases.control(id, 'redis', 'start')
    expect(await redis.get('key')).toBe('value')
  })

  test('start() starts a server that its test has shut down', async () => {
    const { lease: id, facts } = await lease()
    await openRedis(facts.redis, { retryStrategy: () => null })
      .shutdown('NOSAVE')
      .catch(() => {})
    await stack.leases.control(id, 'redis', 'start')
    expect(await openRedis(facts.redis).ping()).toBe('PONG')
  })

  test('stop() stops a paused server and kills one that ignores the signal', async () => {
    const { lease: id, facts } = await lease()
    await stack.leases.control(id, 'postgres', 'pause')
    await stack.leases.control(id, 'postgres', 'restart')
    expect(await ask(openPool(facts))).toBe('answered')
    const script = openRedis(facts.redis, { retryStrategy: () => null }).eval('while true do end', 0)
    const failed = script.catch((error: Error) => error.message)
    await stack.leases.control(id, 'redis', 'restart')
    expect(await failed).toMatch(/closed|ended/i)
    expect(await openRedis(facts.redis).ping()).toBe('PONG')
  })

  test('a restart applies settings of ALTER SYSTEM', async () => {
    const { lease: id, facts } = await lease()
    const pool = openPool(facts)
    await pool.query('ALTER SYSTEM SET max_wal_senders = 3')
    await stack.leases.control(id, 'postgres', 'restart')
    expect((await pool.query('SHOW max_wal_senders')).rows).toEqual([{ max_wal_senders: '3' }])
  })

  test("controlling one file's servers does not affect another's", async () => {
    const [one, other] = [await lease(), await lease()]
    await Promise.all(BOTH.map((service) => stack.leases.control(one.lease, service, 'stop')))
    expect(await ask(openPool(other.facts))).toBe('answered')
    expect(await openRedis(other.facts.redis).ping()).toBe('PONG')
  })

  test.for(['stop', 'pause'] as const)('servers left by a file after %s are leased as new', async (action) => {
    for (let round = 0; round < 5; round += 1) {
      const { lease: id, facts } = await lease()
      expect([await ask(openPool(facts)), await openRedis(facts.redis).ping()]).toEqual(['answered', 'PONG'])
      await Promise.all(BOTH.map((service) => stack.leases.control(id, service, action)))
      await stack.leases.release(id)
    }
  })
})

test('a Redis with arguments that save keeps its data', async () => {
  const stack = await startPostgresStack({ services: ['redis'], redis: { args: SAVING } })
  onTestFinished(() => stack.stop())
  const { lease: id, facts } = await stack.lease({ wants: ['redis'] })
  const redis = openRedis(facts.redis)
  await redis.set('key', 'value')
  await stack.leases.control(id, 'redis', 'restart')
  expect(await redis.get('key')).toBe('value')
  await stack.leases.release(id)
  expect(await openRedis((await stack.lease({ wants: ['redis'] })).facts.redis).get('key')).toBeNull()
})

test.for<[InfraOptions, readonly LeasedService[], string]>([
  [
    { services: BOTH, postgres: { isolation: 'database' }, redis: { isolation: 'database' } },
    BOTH,
    "Set SERVICE.isolation to 'server', so that every file has a server of its own",
  ],
  [{ services: BOTH }, [], "Set isolation to 'file' or 'worker' for this project, and SERVICE.isolation to 'server'"],
])('a server that other files use cannot be controlled: %j', async ([options, wants, remedy]) => {
  const stack = await startPostgresStack(options)
  onTestFinished(() => stack.stop())
  const lease = await stack.lease({ wants })
  for (const service of BOTH) {
    await expect(stack.leases.control(lease.lease, service, 'restart')).rejects.toMatchObject({
      code: 'INFRA_SERVICE_SHARED',
      message: `Cannot restart service "${service}": other test files use the same server
${remedy.replace('SERVICE', service)}`,
    })
  }
  expect(await valuesOf(await connect(lease), 'SELECT 1')).toEqual([1])
})

test('a missing service cannot be controlled', async () => {
  const stack = await startPostgresStack({ services: ['redis'] })
  onTestFinished(() => stack.stop())
  const { lease: id } = await stack.lease({ wants: ['redis'] })
  await expect(stack.leases.control(id, 'postgres', 'stop')).rejects.toThrow(
    'Cannot lease from service "postgres": it is not part of the stack\nAdd \'postgres\' to services',
  )
})

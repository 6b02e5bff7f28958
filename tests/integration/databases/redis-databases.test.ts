import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { LateCommands } from '../../../src/databases/late-commands.ts'
import { RedisDatabases } from '../../../src/databases/redis-databases.ts'
import { withRedis } from '../../../src/services/redis.ts'
import { openRedis, type RedisStack, startRedisStack } from '../servers/redis-support.ts'

const FRESH = { reuse: false }
const USED = { reuse: true }
const RELEASE_INFO = { isUserGone: false, owner: 'a.test.ts' }

let stack: RedisStack
let visited: string[] = []

beforeAll(async () => {
  stack = await startRedisStack({ isolation: 'database' }, `${import.meta.dirname}/../../..`)
}, 60_000)
afterAll(() => stack.stop())
beforeEach(() => void (visited = []))

/** A few databases of the same server, which no lease of the stack uses in these tests. */
function openDatabases(count: number, seed: (database: number) => Promise<void> = async () => {}): RedisDatabases {
  const { host, port } = stack.main
  const databases = new RedisDatabases({
    address: { host, port },
    count,
    target: 1,
    seed: ({ database = 0 }) => seed(database),
    clock: systemClock,
    onClientsLeft: (owner) => visited.push(owner),
    late: new LateCommands(() => {}),
  })
  onTestFinished(() => databases.close())
  return databases
}

test('forty leases of logical databases see only their own keys and the seeds', async () => {
  const leases = await Promise.all(Array.from({ length: 40 }, () => stack.lease()))
  const clients = leases.map(({ facts }) => openRedis(facts.redis))
  await Promise.all(clients.map((client, index) => client.set('mine', index)))

  expect(await Promise.all(clients.map((client) => client.get('mine')))).toEqual(clients.map((_, index) => `${index}`))
  expect(await clients[39]?.get('exchange-rate:EUR:USD')).toBe('1.0842')
  const { host, port } = stack.main
  const databases = leases.map(({ facts }) => facts.redis.database ?? 0)
  expect(new Set(databases).size).toBe(40)
  expect(databases).not.toContain(0)
  expect(leases.map(({ facts }) => facts.redis.url)).toEqual(
    databases.map((number) => `redis://${host}:${port}/${number}`),
  )
})

test('the first database is shared and never leased', async () => {
  const client = openRedis(stack.main)

  expect(stack.main.url).toBe(`redis://${stack.main.host}:${stack.main.port}`)
  expect(stack.main).not.toHaveProperty('database')
  expect(await client.config('GET', 'databases')).toEqual(['databases', '1024'])
  expect(await client.get('exchange-rate:EUR:USD')).toBe('1.0842')
})

test('resetting a lease does not touch the others', async () => {
  const [one, other] = [await stack.lease(), await stack.lease()]
  const [client, neighbour] = [openRedis(one.facts.redis), openRedis(other.facts.redis)]
  await client.set('a', 1)
  await client.del('exchange-rate:EUR:USD')
  await neighbour.set('a', 2)
  await stack.leases.reset(one.lease, 'the next test')

  expect(await client.exists('a')).toBe(0)
  expect(await client.get('exchange-rate:EUR:USD')).toBe('1.0842')
  expect(await neighbour.get('a')).toBe('2')
})

test('RedisDatabases makes a request wait for a database and empties it first', async () => {
  const databases = openDatabases(3)
  const [first, second] = [await databases.acquire(FRESH), await databases.acquire(FRESH)]
  const client = openRedis({ ...stack.main, ...first })
  await client.set('a', 1)
  await client.quit()
  const third = databases.acquire(FRESH)
  databases.release(first, RELEASE_INFO)

  expect(second).not.toEqual(first)
  expect(await third).toEqual(first)
  expect(await openRedis({ ...stack.main, ...first }).dbsize()).toBe(0)
})

test("RedisDatabases withholds a database that an earlier lease's client uses, and names the lease", async () => {
  const databases = openDatabases(3)
  const [first, second] = [await databases.acquire(FRESH), await databases.acquire(FRESH)]
  const left = openRedis({ ...stack.main, ...first })
  await left.set('a', 1)
  databases.release(first, RELEASE_INFO)
  databases.release(second, { ...RELEASE_INFO, owner: 'b.test.ts' })
  expect(await databases.acquire(FRESH)).toEqual(second)
  await databases.settle()
  expect(visited).toEqual(['a.test.ts'])
  const third = databases.acquire(FRESH)
  await left.set('stray', 1)
  // A client that is cut off reconnects.
  await openRedis(stack.main).client('KILL', 'ID', await left.client('ID'))
  await left.set('stray', 2)
  left.disconnect()
  expect(await third).toEqual(first)
  expect(await openRedis({ ...stack.main, ...first }).dbsize()).toBe(0)
})

test('RedisDatabases hands out a used database unchanged on request', async () => {
  const databases = openDatabases(3)
  const first = await databases.acquire(USED)
  await openRedis({ ...stack.main, ...first }).set('a', 1)
  databases.release(first, RELEASE_INFO)

  expect(await databases.acquire(USED)).toEqual(first)
  expect(await openRedis({ ...stack.main, ...first }).get('a')).toBe('1')
  databases.release(first, RELEASE_INFO)
  await databases.acquire(FRESH)
  expect(await databases.acquire(FRESH)).toEqual(first)
  expect(await openRedis({ ...stack.main, ...first }).exists('a')).toBe(0)
})

test('RedisDatabases rejects a request whose database cannot be seeded and retries for the next', async () => {
  let failures = 1
  const databases = openDatabases(2, async () => {
    failures -= 1
    if (failures >= 0) {
      throw new Error('no seeds yet')
    }
  })

  await expect(databases.acquire(FRESH)).rejects.toThrow(
    `Cannot empty database 1 of the Redis on ${stack.main.host}:${stack.main.port} for a lease: no seeds yet\n` +
      "Set redis.isolation to 'server' if tests change settings or users of the server",
  )
  expect(await databases.acquire(FRESH)).toMatchObject({ database: 1 })
})

test('a server locked by a test is reported as locked', async () => {
  const databases = openDatabases(4)
  await databases.acquire(FRESH)
  await withRedis(stack.main, (client) => client.config('SET', 'requirepass', 'secret'))
  const failure = await databases.acquire(FRESH).catch((error: unknown) => error)
  await openRedis(stack.main, { password: 'secret' }).config('SET', 'requirepass', '')

  expect(failure).toMatchObject({ code: 'INFRA_LEASE_FAILED', service: 'redis' })
  expect((failure as Error).message).toContain('NOAUTH')
})

import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { InfraEvent } from '../../../src/report/events.ts'
import { openRedis, type RedisStack, startRedisStack } from '../servers/redis-support.ts'

const FILE = 'the test'

describe.each(['server', 'database'] as const)('isolation: %s', (isolation) => {
  let stack: RedisStack
  let before = 0

  beforeAll(async () => {
    // With seeds, which are sent between two files, too.
    stack = await startRedisStack({ isolation }, `${import.meta.dirname}/../../..`)
  }, 60_000)
  afterAll(() => stack.stop())
  beforeEach(() => void (before = stack.events.length))

  const late = (): InfraEvent[] => stack.events.slice(before).filter(({ type }) => type === 'statements-late')
  const event = (isFirst: boolean, statements: { session: string; query: string }[], file = FILE) => ({
    type: 'statements-late',
    service: 'redis',
    file,
    isFirst,
    statements,
  })

  test('clients that send or wait for data after their file are named', async () => {
    const { lease, facts } = await stack.lease()
    const open = (connectionName?: string) => openRedis(facts.redis, connectionName ? { connectionName } : {})
    const [poller, queue, gone, idle, looking] = [open('poller'), open('queue'), open(), open('idle'), open('looking')]
    await Promise.all([poller, gone, idle, looking].map((client) => client.set('own', 1)))
    const popped = queue.blpop('jobs', 0)
    await stack.leases.idle(lease)
    await poller.eval("return redis.call('SET', 'stray', 1)", 0)
    await gone.incr('stray')
    await gone.quit()
    await looking.ping()
    await looking.info()
    await stack.leases.reset(lease, 'next.test.ts')
    expect(late()).toEqual([
      event(true, [
        { session: 'poller', query: "eval return redis.call('SET', 'stray', 1) 0" },
        { session: '', query: 'incr stray' },
        { session: 'queue', query: 'blpop' },
      ]),
    ])

    // Once each; the file is the one that was the last to have it.
    await stack.leases.idle(lease)
    await poller.eval('return 2', 0)
    await idle.set('stray', 2)
    await stack.leases.reset(lease, 'last.test.ts')
    expect(late().slice(1)).toEqual([event(false, [{ session: 'idle', query: 'set stray 2' }], 'next.test.ts')])
    await idle.rpush('jobs', 'x')
    expect(await popped).toEqual(['jobs', 'x'])
  })

  test('no file is named for commands of running tests, even with many files in one Redis', async () => {
    const [one, other] = [await stack.lease(), await stack.lease()]
    const [client, neighbour] = [openRedis(one.facts.redis), openRedis(other.facts.redis)]
    const over = new AbortController()
    const working = (async () => {
      while (!over.signal.aborted) {
        await neighbour.incr('n')
      }
    })()
    for (const file of ['a', 'b', 'c']) {
      await client.set('a', 1)
      await stack.leases.idle(one.lease)
      await stack.leases.reset(one.lease, file)
      expect(await client.get('exchange-rate:EUR:USD')).toBe('1.0842')
    }
    over.abort()
    await working
    expect(late()).toEqual([])
  })

  test('a Redis is reset although it refuses MONITOR', async () => {
    const { lease, facts } = await stack.lease()
    const client = openRedis(facts.redis)
    await client.call('ACL', 'SETUSER', 'default', '-monitor')
    await stack.leases.idle(lease)
    await client.set('stray', 1)
    await stack.leases.reset(lease, 'next.test.ts')
    expect(await client.exists('stray')).toBe(0)
    expect(late()).toEqual([])
    await client.call('ACL', 'SETUSER', 'default', '+monitor')
  })

  test('the MONITOR connection is closed before the next file', async () => {
    const { lease, facts } = await stack.lease()
    const client = openRedis(facts.redis)
    const connections = async () => String(await client.client('LIST')).match(/ cmd=monitor /g)
    await client.ping()
    await stack.leases.idle(lease)
    expect(await connections()).toHaveLength(1)
    await stack.leases.reset(lease, 'next.test.ts')
    await expect.poll(connections).toBeNull()
    await stack.leases.idle(lease)
    expect(await connections()).toHaveLength(1)
    // At the latest: of the last file of a worker no reset follows.
    await expect.poll(connections, { timeout: 5_000 }).toBeNull()
  })
})

test('a Redis replaced at its reset still reports its late clients', async () => {
  const stack = await startRedisStack({ seeds: [] })
  onTestFinished(() => stack.stop())
  const { lease, facts } = await stack.lease()
  const client = openRedis(facts.redis, { retryStrategy: () => null })
  await client.ping()
  await stack.leases.idle(lease)
  await client.set('stray', 1)
  await client.config('SET', 'requirepass', 'secret')
  await stack.leases.reset(lease, 'next.test.ts')
  expect(stack.events.filter(({ type }) => type === 'server-replaced')).toHaveLength(1)
  expect(stack.events.at(-1)).toEqual({
    type: 'statements-late',
    service: 'redis',
    file: FILE,
    isFirst: true,
    statements: [{ session: '', query: 'set stray 1' }],
  })
}, 60_000)

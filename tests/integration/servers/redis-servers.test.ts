import { afterAll, beforeAll, expect, test } from 'vitest'
import { answersPing } from '../../../src/services/redis-admin.ts'
import {
  describeRedis,
  openRedis,
  type RedisStack,
  runIdOf,
  startRedisStack,
  withoutPassword,
} from './redis-support.ts'

let stack: RedisStack

beforeAll(async () => {
  stack = await startRedisStack({}, `${import.meta.dirname}/../../..`)
}, 60_000)
afterAll(() => stack.stop())

const LIBRARY = "#!lua name=l\nredis.register_function('f', function() return 1 end)"

test.for<[string, string[][]]>([
  [
    'data in any database',
    [
      ['SET', 'a', '1'],
      ['SELECT', '9'],
      ['SET', 'a', '1'],
      ['SWAPDB', '0', '3'],
    ],
  ],
  [
    'limits',
    [['CONFIG', 'SET', 'maxmemory', '1mb', 'maxmemory-policy', 'allkeys-lru', 'maxclients', '100', 'timeout', '60']],
  ],
  ['too little memory to write', [['CONFIG', 'SET', 'maxmemory', '1']]],
  ['notifications', [['CONFIG', 'SET', 'notify-keyspace-events', 'KEA']]],
  ['persistence', [['CONFIG', 'SET', 'save', '1 1 60 100', 'appendonly', 'yes'], ['SAVE']]],
  [
    'settings that have two names',
    [['CONFIG', 'SET', 'slave-read-only', 'no', 'replica-priority', '7', 'lua-time-limit', '7']],
  ],
  ['settings of several words', [['CONFIG', 'SET', 'client-output-buffer-limit', 'normal 1mb 1mb 1']]],
  ['a ban on writing without replicas', [['CONFIG', 'SET', 'min-replicas-to-write', '1']]],
  ['being a replica', [['REPLICAOF', '127.0.0.1', '1']]],
  [
    'users',
    [
      ['ACL', 'SETUSER', 'bob', 'on', '>secret', '~b:*', '+@read', '(~c:* +@write)'],
      ['ACL', 'SETUSER', 'default', '-debug', 'resetchannels', '&news'],
      ['ACL', 'LOG'],
    ],
  ],
  [
    'scripts and functions',
    [
      ['SCRIPT', 'LOAD', 'return 1'],
      ['EVAL', 'return 2', '0'],
      ['FUNCTION', 'LOAD', LIBRARY],
    ],
  ],
  ['a pause of writing', [['CLIENT', 'PAUSE', '600000', 'WRITE']]],
  [
    'logs of slow commands',
    [
      ['CONFIG', 'SET', 'slowlog-log-slower-than', '0'],
      ['SET', 'a', '1'],
      ['GET', 'a'],
    ],
  ],
])('a Redis with leftover %s is reset and keeps its clients', async ([, commands]) => {
  const lease = await stack.lease()
  const client = openRedis(lease.facts.redis)
  const before = await describeRedis(client)
  const connection = [await runIdOf(client), await client.client('ID')]
  for (const [command = '', ...args] of commands) {
    await client.call(command, ...args)
  }

  await stack.leases.reset(lease.lease, 'the next test')
  await client.select(0)
  expect(await describeRedis(client)).toEqual(before)
  expect([await runIdOf(client), await client.client('ID')]).toEqual(connection)
  expect(await client.get('exchange-rate:EUR:USD')).toBe('1.0842')
})

test.for([
  ['is reset while a script of it does not end', '', 0],
  ['is started anew while a script of it has written and does not end', "redis.call('SET', 'a', 1)", 1],
] as const)('a Redis %s', async ([, write, replacements]) => {
  const lease = await stack.lease()
  const client = openRedis(lease.facts.redis)
  const count = () => stack.events.filter(({ type }) => type === 'server-replaced').length
  const countBefore = count()
  await client.config('SET', 'busy-reply-threshold', 50)
  const script = openRedis(lease.facts.redis, { retryStrategy: () => null }).eval(`${write} while true do end`, 0)
  const ended = script.catch((error: Error) => error.message)
  await expect.poll(() => client.ping().catch((error: Error) => error.message)).toMatch(/^BUSY/)

  await stack.leases.reset(lease.lease, 'the next test')
  expect(await ended).toMatch(/killed|closed/)
  expect(await openRedis(lease.facts.redis).exists('a')).toBe(0)
  expect(count() - countBefore).toBe(replacements)
})

test('a reset of a Redis leaves the state of connections unchanged', async () => {
  const lease = await stack.lease()
  const subscriber = openRedis(lease.facts.redis)
  const blocked = openRedis(lease.facts.redis)
  const transaction = openRedis(lease.facts.redis)
  const messages: string[] = []
  subscriber.on('message', (_channel, text: string) => messages.push(text))
  await subscriber.subscribe('news')
  const popped = blocked.blpop('queue', 0)
  await transaction.call('MULTI')
  await transaction.call('SET', 'a', '1')

  await stack.leases.reset(lease.lease, 'the next test')
  const client = openRedis(lease.facts.redis)
  await client.publish('news', 'x')
  await client.rpush('queue', 'y')
  expect(await popped).toEqual(['queue', 'y'])
  expect(await transaction.call('EXEC')).toEqual(['OK'])
  await expect.poll(() => messages).toEqual(['x'])
})

test.for<[string, string[][]]>([
  ['asks for a password', [['CONFIG', 'SET', 'requirepass', 'secret']]],
  ['has no default user', [['ACL', 'SETUSER', 'default', 'off']]],
  ['lets nobody do anything', [['ACL', 'SETUSER', 'default', 'nocommands']]],
  ['is paused', [['CLIENT', 'PAUSE', '600000', 'ALL']]],
  ['is gone', [['SHUTDOWN', 'NOSAVE']]],
  ['has gone and left its data', [['SAVE'], ['SHUTDOWN', 'SAVE']]],
  ['listens on another port', [['CONFIG', 'SET', 'port', '6500']]],
  ['listens to itself', [['CONFIG', 'SET', 'bind', '127.0.0.1']]],
])('a Redis that %s is restarted', async ([, commands]) => {
  const lease = await stack.lease()
  const client = openRedis(lease.facts.redis, { retryStrategy: () => null })
  const before = await describeRedis(client)
  const runId = await runIdOf(client)
  await client.set('a', 1)
  for (const [command = '', ...args] of commands) {
    // A server that shuts down does not answer.
    await client.call(command, ...args).catch(() => {})
  }

  await stack.leases.reset(lease.lease, 'the next test')
  const next = openRedis(lease.facts.redis)
  expect(await describeRedis(next)).toEqual(before)
  expect(await runIdOf(next)).not.toBe(runId)
  expect(await next.exists('a')).toBe(0)
  expect(stack.events.at(-1)).toMatchObject({ type: 'server-replaced', service: 'redis', reason: expect.any(String) })
})

test.for<[string, string[][]]>([
  ['went on', []],
  ['was told to save', [['CONFIG', 'SET', 'save', '1 1'], ['SAVE']]],
  ['was paused', [['CLIENT', 'PAUSE', '600000', 'ALL']]],
  ['was shut down', [['SHUTDOWN', 'SAVE']]],
  ['was locked', [['CONFIG', 'SET', 'requirepass', 'secret']]],
])('a Redis that %s is a new process at its next lease', async ([, commands]) => {
  const runIds = new Set<string>()
  let fresh: Record<string, unknown> | undefined
  for (let count = 0; count < 8; count += 1) {
    const lease = await stack.lease()
    const client = openRedis(lease.facts.redis, { retryStrategy: () => null })
    fresh ??= withoutPassword(await describeRedis(client))
    expect(withoutPassword(await describeRedis(client))).toEqual(fresh)
    runIds.add(await runIdOf(client))
    await client.set('a', 1)
    for (const [command = '', ...args] of commands) {
      await client.call(command, ...args).catch(() => {})
    }
    client.disconnect()
    await stack.leases.release(lease.lease)
  }
  // There are four servers, so each was leased twice.
  expect(runIds.size).toBe(8)
})

test('a Redis that its last user shut down is not reused unchanged', async () => {
  const first = await stack.lease({ reuse: true })
  await openRedis(first.facts.redis, { retryStrategy: () => null }).call('SET', 'a', '1')
  await stack.leases.release(first.lease)
  const second = await stack.lease({ reuse: true })
  const client = openRedis(second.facts.redis, { retryStrategy: () => null })
  expect(second.facts.redis).toEqual(first.facts.redis)
  expect(await client.get('a')).toBe('1')
  await client.shutdown('NOSAVE').catch(() => {})
  await stack.leases.release(second.lease)

  const third = await stack.lease({ reuse: true })
  expect(await answersPing(third.facts.redis)).toBe(true)
  expect(await openRedis(third.facts.redis).exists('a')).toBe(0)
})

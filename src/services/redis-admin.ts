import { connect } from 'node:net'
import type { Redis } from 'ioredis'
import { withRedis } from './redis.ts'
import type { Address } from './service.ts'

const ANSWER_TIMEOUT_MS = 1_000

/** Whether a Redis answers at all; an error reply, such as one that asks for a password, is an answer too. */
export function answersPing({ host, port }: Address): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port })
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => resolve(false))
  socket.once('data', () => resolve(true))
  // An engine's proxy accepts before anyone listens behind it, and closes again.
  socket.once('error', () => resolve(false)).once('close', () => resolve(false))
  socket.write('PING\r\n')
  return promise.finally(() => socket.destroy())
}

/**
 * Empties a Redis whose clients stay connected: data, scripts, functions, users, configuration and statistics. Clients
 * and their subscriptions are left alone.
 */
export async function resetRedis(address: Address, configuration: ReadonlyMap<string, string>): Promise<void> {
  await withRedis(address, async (client) => {
    await client.call('CLIENT', 'UNPAUSE')
    await client.call('REPLICAOF', 'NO', 'ONE')
    await Promise.all([client.flushall(), client.call('SCRIPT', 'FLUSH'), client.call('FUNCTION', 'FLUSH')])
    await resetUsers(client)
    await restoreConfiguration(client, configuration)
    await Promise.all([client.config('RESETSTAT'), client.call('SLOWLOG', 'RESET'), client.call('LATENCY', 'RESET')])
  })
}

/** All settings of a Redis, as `CONFIG GET *` tells them. */
export async function readConfiguration(address: Address): Promise<ReadonlyMap<string, string>> {
  return withRedis(address, (client) => getConfiguration(client))
}

async function getConfiguration(client: Redis): Promise<ReadonlyMap<string, string>> {
  const flat = await client.config('GET', '*')
  const pairs = flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : []))
  return new Map(pairs)
}

async function resetUsers(client: Redis): Promise<void> {
  const users = ((await client.call('ACL', 'USERS')) as string[]).filter((user) => user !== 'default')
  if (users.length > 0) {
    await client.call('ACL', 'DELUSER', ...users)
  }
  await client.call('ACL', 'SETUSER', 'default', 'reset', 'on', 'nopass', '~*', '&*', '+@all')
}

async function restoreConfiguration(client: Redis, wanted: ReadonlyMap<string, string>): Promise<void> {
  const current = await getConfiguration(client)
  for (const [name, value] of wanted) {
    if (current.get(name) !== value) {
      await client.config('SET', name, value)
    }
  }
}

import type { Redis, RedisOptions } from 'ioredis'
import type { RedisAddress } from '../environment/variable-set.ts'
import type { ResolvedRedis } from '../config/resolve-spec.ts'
import type { ServiceDefinition } from './service.ts'

const PROBE_TIMEOUT_MS = 2_000
const RETRY_MS = 200
const RETRIES = 3

/** No snapshots and no append-only file: nothing has to survive the run. */
const ARGUMENTS = ['--save', '', '--appendonly', 'no']

/** Where a lease is a logical database: more than tests can hold at once. They cost 4 MB together; Redis has 16 itself. */
const LOGICAL_DATABASES = ['--databases', '1024']

/** What Redis is: its command line and its probe; `instances` more processes of it can be asked for. */
export function defineRedis(spec: ResolvedRedis, instances = 0): ServiceDefinition {
  const databases = spec.isolation === 'database' ? LOGICAL_DATABASES : []
  const command = ['redis-server', ...ARGUMENTS, ...databases, ...spec.args]
  return {
    service: spec.service,
    hostPort: spec.hostPort,
    environment: {},
    command,
    ...(instances > 0 && {
      instances: {
        count: instances,
        command: (port, folder) => [...command, '--port', port, '--dir', folder],
        endSignal: 'KILL',
      },
    }),
    probe: (address, signal) => probeRedis({ ...spec.server, ...address }, signal),
  }
}

/** Loads the client before it is needed. */
export async function loadRedis(): Promise<void> {
  await import('ioredis')
}

export interface RedisLimits {
  /** Time after which the connection is cut, whatever is being waited for. */
  readonly timeoutMs?: number
}

/** The name of our own connections. */
export const OWN_NAME = 'vitest-infra'

/** Runs `work` with a connection of its own, which is closed afterwards. */
export async function withRedis<T>(
  address: RedisAddress,
  work: (client: Redis) => Promise<T>,
  { timeoutMs }: RedisLimits = {},
): Promise<T> {
  // One attempt: the caller decides whether to try again.
  const client = await createClient(address, {
    connectionName: OWN_NAME,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  })
  let connectionError: Error | undefined
  client.on('error', (error: Error) => (connectionError = error))
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => client.disconnect(), timeoutMs)
  try {
    await client.connect().catch((error: unknown) => {
      throw connectionError ?? error
    })
    return await work(client)
  } finally {
    clearTimeout(timer)
    client.disconnect()
  }
}

/** A connection that comes back by itself, under a name that others see in `CLIENT LIST`. */
export async function openRedis(address: RedisAddress, connectionName: string): Promise<Redis> {
  const client = await createClient(address, {
    connectionName,
    retryStrategy: () => RETRY_MS,
    maxRetriesPerRequest: RETRIES,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    // It would try for ever.
    client.disconnect()
    throw error
  }
}

/** A connection that receives every command of the server, some time after `connect()` resolves. */
export function createMonitor(address: RedisAddress): Promise<Redis> {
  // In the first database, so that it is counted as a client of no other one.
  return createClient(
    { ...address, database: 0 },
    { monitor: true, retryStrategy: () => null, maxRetriesPerRequest: 0 },
  )
}

async function createClient(
  { host, port, database = 0, user, password, tls }: RedisAddress,
  options: RedisOptions,
): Promise<Redis> {
  const { Redis: Client } = await import('ioredis')
  return new Client({
    host,
    port,
    db: database,
    ...(user && { username: user }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
    lazyConnect: true,
    // A server that does not let us ask shall say why at the first command.
    enableReadyCheck: false,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: undefined,
    // Its timer outlives a connection that was refused, and would keep the process alive for two seconds.
    disconnectTimeout: 50,
    ...options,
  })
}

async function probeRedis(address: RedisAddress, signal: AbortSignal): Promise<string> {
  return withRedis(address, async (client) => {
    signal.throwIfAborted()
    await client.ping()
    const info = await client.info('server')
    return /^redis_version:(\S+)/m.exec(info)?.[1] ?? ''
  })
}

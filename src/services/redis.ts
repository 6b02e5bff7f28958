import type { Redis, RedisOptions } from 'ioredis'
import { CONNECTION } from '../internal/names.ts'
import type { RedisAddress } from '../environment/variable-set.ts'
import type { ResolvedRedis } from '../config/resolve-spec.ts'
import type { ServiceDefinition } from './service.ts'

const PROBE_TIMEOUT_MS = 2_000
const RETRY_MS = 200
const RETRIES = 3

/** Turns off persistence: no data needs to survive the run. */
const ARGUMENTS = ['--save', '', '--appendonly', 'no']

/** The number of logical databases: more than tests lease at once, for 4 MB of memory. The default of Redis is 16. */
const LOGICAL_DATABASES = ['--databases', '1024']

/** Defines Redis, with as many additional `instances` as may be leased. */
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

/** Loads the module `ioredis` in advance. */
export async function loadRedis(): Promise<void> {
  await import('ioredis')
}

export interface RedisLimits {
  /** Time after which the connection is closed, even during a command, in milliseconds; undefined for no limit. */
  readonly timeoutMs?: number
}

/** Runs `work` with a new connection, which is closed afterwards. */
export async function withRedis<T>(
  address: RedisAddress,
  work: (client: Redis) => Promise<T>,
  { timeoutMs }: RedisLimits = {},
): Promise<T> {
  // One attempt: the caller decides whether to try again.
  const client = await createClient(address, {
    connectionName: CONNECTION,
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

/** Opens a connection that reconnects by itself, with a name for `CLIENT LIST`. */
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
    // Otherwise the client would try to reconnect forever.
    client.disconnect()
    throw error
  }
}

/** Creates a connection that receives every command of the server, some time after `connect()` resolves. */
export function createMonitor(address: RedisAddress): Promise<Redis> {
  // In database 0, so that it does not count as a client of another database.
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
    // A server that refuses the connection reports the reason at the first command.
    enableReadyCheck: false,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: undefined,
    // The timer outlives a refused connection, and by default keeps the process alive for two seconds.
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

import type { Redis } from 'ioredis'
import type { ResolvedRedis } from '../spec/resolve-spec.ts'
import type { Address, ServiceDefinition } from './service.ts'

const PROBE_TIMEOUT_MS = 2_000

/** No snapshots and no append-only file: nothing has to survive the run. */
const ARGUMENTS = ['--save', '', '--appendonly', 'no']

/** What Redis is: its command line and its probe; `siblings` more processes of it can be asked for. */
export function defineRedis(spec: ResolvedRedis, siblings = 0): ServiceDefinition {
  return {
    service: spec.service,
    hostPort: spec.hostPort,
    environment: {},
    command: ['redis-server', ...ARGUMENTS, ...spec.args],
    ...(siblings > 0 && {
      siblings: {
        count: siblings,
        command: (port, folder) => ['redis-server', ...ARGUMENTS, ...spec.args, '--port', port, '--dir', folder],
      },
    }),
    probe: probeRedis,
  }
}

/** Runs `work` with a connection of its own, which is closed afterwards. */
export async function withRedis<T>(address: Address, work: (client: Redis) => Promise<T>): Promise<T> {
  const { Redis: Client } = await import('ioredis')
  const client = new Client({
    ...address,
    lazyConnect: true,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: undefined,
    // One attempt: who calls decides whether to try again.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  })
  let connectionError: Error | undefined
  client.on('error', (error: Error) => (connectionError = error))
  try {
    await client.connect().catch((error: unknown) => {
      throw connectionError ?? error
    })
    return await work(client)
  } finally {
    client.disconnect()
  }
}

async function probeRedis(address: Address, signal: AbortSignal): Promise<string> {
  return withRedis(address, async (client) => {
    signal.throwIfAborted()
    await client.ping()
    const info = await client.info('server')
    return /^redis_version:(\S+)/m.exec(info)?.[1] ?? ''
  })
}

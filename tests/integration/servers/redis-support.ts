import { Redis, type RedisOptions } from 'ioredis'
import { onTestFinished } from 'vitest'
import type { RedisFacts } from '../../../src/environment/infra-facts.ts'
import { systemClock } from '../../../src/internal/clock.ts'
import { type Lease, type LeaseClient, openLeaseClient } from '../../../src/leasing/lease-client.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import type { InfraOptions, RedisOptions as RedisSpec } from '../../../src/config/infra-options.ts'
import { resolveSpec } from '../../../src/config/resolve-spec.ts'
import { startInfra } from '../../../src/stack/start-infra.ts'

/** A stack whose Redises a test leases as a worker does. */
export interface RedisStack {
  readonly leases: LeaseClient
  /** Path of the socket on which workers lease. */
  readonly socket: string
  readonly events: readonly InfraEvent[]
  readonly main: RedisFacts
  /** Where its servers run, if that is a container. */
  readonly container: string
  /** Released after the test, unless it was by then. */
  lease(options?: { reuse?: boolean }): Promise<Lease>
  stop(): Promise<void>
}

export async function startRedisStack(
  redis: RedisSpec = {},
  root = import.meta.dirname,
  options: InfraOptions = {},
): Promise<RedisStack> {
  const spec = resolveSpec(
    { services: ['redis'], redis, ...options },
    { root, source: 'the test', environment: { process: {} } },
  )
  const events: InfraEvent[] = []
  const starting = startInfra(spec, {
    environment: process.env,
    workers: 2,
    variables: () => ({}),
    report: (event) => events.push(event),
    clock: systemClock,
  })
  const { socket, facts, services } = await starting.up
  const leases = await openLeaseClient(socket)
  return {
    leases,
    socket,
    events,
    main: facts.redis,
    container: services[0]?.container ?? '',
    async lease({ reuse = false } = {}) {
      const lease = await leases.acquire({
        project: '',
        owner: 'the test',
        span: 'test',
        wants: ['redis'],
        template: '',
        reuse,
      })
      onTestFinished(() => leases.release(lease.lease).catch(() => {}))
      return lease
    },
    stop: () => starting.stop(),
  }
}

/** A connection that is closed after the test. */
export function openRedis({ host, port, database = 0 }: RedisFacts, options: RedisOptions = {}): Redis {
  const client = new Redis({ host, port, db: database, ...options })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  return client
}

/** Identifies a server process. */
export async function runIdOf(client: Redis): Promise<string> {
  return /^run_id:(\w+)/m.exec(await client.info('server'))?.[1] ?? ''
}

/** The same but for what keeps clients of earlier leases out of a server. */
export function withoutPassword({ configuration, users: _users, ...rest }: Record<string, unknown>) {
  return { ...rest, configuration: { ...(configuration as Record<string, string>), requirepass: '' } }
}

/** All that a test can change in a server and that is not a connection's. */
export async function describeRedis(client: Redis): Promise<Record<string, unknown>> {
  const flat = await client.config('GET', '*')
  const settings = flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]] as const] : []))
  return {
    // Each process lists them in its own order.
    configuration: Object.fromEntries(settings.filter(([name]) => name !== 'port' && name !== 'dir')),
    users: await client.call('ACL', 'LIST'),
    keyspace: await client.info('keyspace'),
    functions: await client.call('FUNCTION', 'LIST'),
    scripts: /^number_of_cached_scripts:(\d+)/m.exec(await client.info('memory'))?.[1],
    role: await client.call('ROLE'),
    log: await client.call('ACL', 'LOG'),
  }
}

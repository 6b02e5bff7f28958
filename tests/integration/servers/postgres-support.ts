import pg from 'pg'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { type Lease, type LeaseClient, openLeaseClient } from '../../../src/leasing/lease-client.ts'
import type { AcquireRequest } from '../../../src/leasing/lease-source.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import type { InfraOptions } from '../../../src/config/infra-options.ts'
import { resolveSpec } from '../../../src/config/resolve-spec.ts'
import { startInfra, type UpInfra } from '../../../src/stack/start-infra.ts'

/** A stack whose PostgreSQL servers a test leases as a worker does. */
export interface PostgresStack extends UpInfra {
  readonly leases: LeaseClient
  readonly events: readonly InfraEvent[]
  /** Released after the test, unless it was by then. */
  lease(request?: Partial<AcquireRequest>): Promise<Lease>
  stop(): Promise<void>
}

export async function startPostgresStack(
  options: InfraOptions,
  root: string = import.meta.dirname,
): Promise<PostgresStack> {
  const given = { services: ['postgres'], ...options, postgres: { isolation: 'server', ...options.postgres } }
  const spec = resolveSpec(given, { root, source: 'the test', environment: { process: {} } })
  const events: InfraEvent[] = []
  const starting = startInfra(spec, {
    environment: process.env,
    workers: 2,
    variables: () => ({}),
    report: (event) => events.push(event),
    clock: systemClock,
  })
  const up = await starting.up
  const leases = await openLeaseClient(up.socket)
  return {
    ...up,
    leases,
    events,
    async lease(request = {}) {
      const usual = { project: '', owner: 'the test', span: 'file', template: 'default', reuse: false } as const
      const lease = await leases.acquire({ ...usual, wants: ['postgres'], ...request })
      onTestFinished(() => leases.release(lease.lease).catch(() => {}))
      return lease
    },
    stop: () => starting.stop(),
  }
}

/** A connection that is closed after the test. */
export async function connect({ facts }: Lease): Promise<pg.Client> {
  const client = new pg.Client(facts.postgres.url)
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end())
  return client
}

export async function valuesOf(client: pg.Client, query: string): Promise<unknown[]> {
  const { rows } = await client.query<unknown[]>({ text: query, rowMode: 'array' })
  return rows.flat()
}

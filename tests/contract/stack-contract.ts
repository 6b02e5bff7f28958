import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { PostgresFacts, ProviderName } from '../../src/environment/infra-facts.ts'
import { systemClock } from '../../src/internal/clock.ts'
import { type Lease, type LeaseClient, openLeaseClient } from '../../src/leasing/lease-client.ts'
import type { InfraEvent } from '../../src/report/events.ts'
import { answersPostgres, withPostgres } from '../../src/services/postgres.ts'
import { withRedis } from '../../src/services/redis.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { type StartingInfra, startInfra } from '../../src/stack/start-infra.ts'
import type { ProviderCase } from './contract-support.ts'

/** Tests of a whole stack on a provider: templates, leases, and a Redis for each lease. */
export function describeStackContract({ name: provider, leftovers, external }: ProviderCase): void {
  const start = (options: InfraOptions = {}) =>
    startStack(provider, { ...options, ...(external && { external: external() }) })

  describe(`${provider}: a stack`, () => {
    test('leases clones of its template and Redises, each for one test', async () => {
      const { infra, events } = await start()
      const { facts, socket } = await infra.up
      expect(facts.provider).toBe(provider)
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'template-ready', template: 'default', isNew: true }),
      )
      const client = await openLeaseClient(socket)
      const leases = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => acquire(client, owner)))
      const places = leases.map(({ facts: { postgres, redis } }) => `${postgres.database} ${redis.url}`)
      expect(new Set(places).size).toBe(4)
      expect(await Promise.all(leases.map(useWorld))).toEqual([UNUSED, UNUSED, UNUSED, UNUSED])
      await client.release(leases[0]?.lease ?? 0)
      expect(await useWorld(await acquire(client, 'e'))).toEqual(UNUSED)
      await infra.stop()
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })

    test('that is stopped while it starts leaves nothing', async () => {
      const { infra, events } = await start()
      await expect.poll(() => events.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(1)
      await infra.stop()
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })

    test('of another run stays while one ends', async () => {
      const [one, two] = await Promise.all([start(), start()])
      const [, { socket }] = await Promise.all([one.infra.up, two.infra.up])
      await one.infra.stop()
      const lease = await acquire(await openLeaseClient(socket), 'a')
      expect(await useWorld(lease)).toEqual(UNUSED)
    })
  })
}

/** Further tests for providers that start servers. */
export function describeOwnServersStack({ name, leftovers }: ProviderCase): void {
  describe(`${name}: a stack with servers for its leases`, () => {
    test('leases PostgreSQL servers, each for one file, which are frozen, stopped and started again', async () => {
      const { infra } = await startStack(name, { postgres: { isolation: 'server' } })
      const client = await openLeaseClient((await infra.up).socket)
      const leases = await Promise.all(['a', 'b'].map((owner) => acquire(client, owner)))
      const [one, two] = leases.map(({ facts: { postgres } }) => postgres) as [PostgresFacts, PostgresFacts]
      expect(one.port).not.toBe(two.port)
      expect(await Promise.all(leases.map(useWorld))).toEqual([UNUSED, UNUSED])
      await withPostgres(one, (connection) => connection.query('CREATE ROLE clerk'))
      const roles = await withPostgres(two, (connection) => connection.query("SELECT to_regrole('clerk') AS role"))
      expect(roles.rows).toEqual([{ role: null }])
      const control = (action: 'pause' | 'resume' | 'stop' | 'start') =>
        client.control(leases[0]?.lease ?? 0, 'postgres', action)
      await control('pause')
      expect(await answersPostgres(one)).toBe(false)
      expect(await answersPostgres(two)).toBe(true)
      await control('resume')
      await expect.poll(() => answersPostgres(one), { timeout: 10_000 }).toBe(true)
      await control('stop')
      expect(await answersPostgres(one)).toBe(false)
      await control('start')
      await expect.poll(() => answersPostgres(one), { timeout: 10_000 }).toBe(true)
      const notes = await withPostgres(one, (connection) => connection.query('SELECT text FROM notes'))
      expect(notes.rows).toEqual([{ text: 'x' }])
      await infra.stop()
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })
  })
}

async function startStack(
  provider: ProviderName,
  options: InfraOptions = {},
): Promise<{ infra: StartingInfra; events: InfraEvent[] }> {
  const root = await mkdtemp(join(tmpdir(), 'contract-'))
  await mkdir(join(root, 'fixtures/postgres/migrations'), { recursive: true })
  await writeFile(join(root, 'fixtures/postgres/migrations/1.sql'), 'CREATE TABLE notes (text text);')
  const events: InfraEvent[] = []
  const spec = resolveSpec({ ...options, provider }, { root, source: 'the test', environment: { process: {} } })
  const infra = startInfra(spec, {
    environment: process.env,
    workers: 2,
    variables: () => ({}),
    report: (event) => void events.push(event),
    clock: systemClock,
  })
  // If the test fails before it awaits this promise, the test's own error must be reported.
  infra.up.catch(() => {})
  onTestFinished(async () => {
    await infra.stop()
    await rm(root, { recursive: true })
  })
  return { infra, events }
}

function acquire(client: LeaseClient, owner: string): Promise<Lease> {
  const wants = ['postgres', 'redis'] as const
  return client.acquire({ project: '', owner, span: 'file', wants, template: 'default', reuse: false })
}

/** The result of `useWorld` for an unused lease. */
const UNUSED = { before: 0, count: 1 }

/** Counts the earlier uses of a leased database and Redis, and uses both. */
async function useWorld({ facts: { postgres, redis } }: Lease): Promise<object> {
  const { rows } = await withPostgres(postgres, (client) =>
    client.query('INSERT INTO notes VALUES ($1) RETURNING (SELECT count(*)::int FROM notes) AS before', ['x']),
  )
  const count = await withRedis(redis, (client) => client.incr('notes'))
  return { before: rows[0]?.before, count }
}

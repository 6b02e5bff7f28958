import { createServer } from 'node:net'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { InfraError } from '../../src/errors.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { withRedis } from '../../src/services/redis.ts'
import { answersPing } from '../../src/services/redis-admin.ts'
import type { Address, ServiceDefinition } from '../../src/services/service.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import {
  admit,
  idle,
  type Open,
  openProvider,
  type ProviderCase,
  type ServiceName,
  SERVICES,
  start,
} from './contract-support.ts'
import { describeOwnServersStack } from './stack-contract.ts'

const BROKEN: InfraOptions = {
  postgres: { settings: { shared_preload_libraries: 'nope' } },
  redis: { args: ['--maxmemory', 'nope'] },
}

/** Tests for providers that start and stop servers. */
export function describeOwnServers({ name, leftovers }: ProviderCase): void {
  const open: Open = (service, options = {}, instances = 0) => openProvider(name, { service, options, instances })

  describe.each(SERVICES)(`${name}: %s of its own`, (service) => {
    test('a server tells how much room it has, and what it logged', async () => {
      const { provider, definition } = await open(service)
      const started = await start(provider, definition)
      await admit(started, definition)
      expect(await started.freeBytes()).toBeGreaterThan(0)
      expect(await started.logTail(40)).toMatch(/ready to accept connections/i)
    })

    test('a server that is stopped is gone with all that was made for it; stopping it again does nothing', async () => {
      const { provider, definition } = await open(service)
      const started = await start(provider, definition)
      await admit(started, definition)
      await started.stop()
      await started.stop()
      await expect(ask(started.address, definition)).rejects.toThrow(/ECONNREFUSED|closed/)
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })

    test('a service can be started again, and knows nothing of before', async () => {
      const { provider, definition } = await open(service)
      const first = await start(provider, definition)
      await admit(first, definition)
      await leaveTrace(service, first.address)
      expect(await hasTrace(service, first.address)).toBe(true)
      await first.stop()
      const second = await start(provider, definition)
      await admit(second, definition)
      expect(await hasTrace(service, second.address)).toBe(false)
    })

    test('two of a kind run side by side, as those of two runs do', async () => {
      const [one, two] = await Promise.all([open(service), open(service)])
      const servers = await Promise.all([start(one.provider, one.definition), start(two.provider, two.definition)])
      await Promise.all(servers.map((started) => admit(started, one.definition)))
      const [left, right] = servers.map(({ address }) => address) as [Address, Address]
      expect(left.port).not.toBe(right.port)
      await leaveTrace(service, left)
      expect(await hasTrace(service, right)).toBe(false)
      await servers[0]?.stop()
      await ask(right, one.definition)
    })

    test('a server that ends at once is known for it, with its code and its log', async () => {
      const { provider, definition } = await open(service, BROKEN)
      const started = await start(provider, definition)
      const error = await admit(started, definition).catch((reason: unknown) => reason as InfraError)
      expect(error).toMatchObject({ code: 'INFRA_SERVICE_EXITED', service })
      expect((error as InfraError).message).toMatch(/its server exited with code 1 before it was healthy\n/)
      expect((error as InfraError).message).toContain(`Last lines of the log of ${started.label}:\n`)
      expect((error as InfraError).message).toMatch(/could not access file "nope"|argument must be a memory value/)
      await started.stop()
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })

    test('a pinned port is the one that it listens on', async () => {
      const port = await freePort()
      const { provider, definition } = await open(service, { [service]: { port } })
      const started = await start(provider, definition)
      await admit(started, definition)
      expect(started.address.port).toBe(port)
    })

    test('a pinned port that is taken is an error that says by whom, and nothing starts', async () => {
      const holder = createServer().listen(0, '127.0.0.1')
      await once(holder, 'listening')
      onTestFinished(() => void holder.close())
      const { port } = holder.address() as { port: number }
      const { provider, definition } = await open(service, { [service]: { port } })
      await expect(provider.start(definition, { report: () => {}, signal: idle() })).rejects.toMatchObject({
        code: 'INFRA_PORT_TAKEN',
        message: expect.stringContaining(`(pid ${process.pid})`),
      })
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })
  })

  describe(`${name}: postgres`, () => {
    test('has the user, the password and the database that were asked for', async () => {
      const options = { postgres: { user: 'Ada L', password: 'p w', database: 'shop "y"' } }
      const { provider, definition } = await open('postgres', options)
      const started = await start(provider, definition)
      await admit(started, definition)
      const place = { ...started.address, ...options.postgres }
      const sql =
        'SELECT current_user AS role, current_database() AS name, rolsuper AS super FROM pg_roles WHERE rolname = current_user'
      const { rows } = await withPostgres(place, (client) => client.query(sql))
      expect(rows).toEqual([{ role: 'Ada L', name: 'shop "y"', super: true }])
      await expect(withPostgres({ ...place, password: 'wrong' }, async () => {})).rejects.toThrow(
        'password authentication failed',
      )
    })

    test("obeys the user's settings and initdb's arguments, and keeps UTC and UTF-8 without them", async () => {
      const settings = { work_mem: '7MB' }
      const { provider, definition } = await open('postgres', { postgres: { settings, initdbArgs: '--wal-segsize=2' } })
      const started = await start(provider, definition)
      await admit(started, definition)
      const names = ['work_mem', 'wal_segment_size', 'fsync', 'server_encoding', 'max_connections']
      const { rows } = await withPostgres(postgresAt(started.address), (client) =>
        client.query('SELECT current_setting(name) AS value FROM unnest($1::text[]) AS name', [names]),
      )
      expect(rows.map(({ value }) => value)).toEqual(['7MB', '2MB', 'off', 'UTF8', '500'])
      const { rows: times } = await withPostgres(postgresAt(started.address), (client) =>
        client.query("SELECT extract(timezone FROM timestamptz '2026-07-01')::int AS seconds"),
      )
      expect(times).toEqual([{ seconds: 0 }])
    })
  })

  describe(`${name}: instances of redis`, () => {
    test('run when they are started, each for itself, and are ended, frozen and replaced', async () => {
      const { provider, definition } = await open('redis', {}, 2)
      const started = await start(provider, definition)
      await admit(started, definition)
      const [one, two] = started.instances
      if (!one || !two) {
        throw new TypeError('there are no instances')
      }
      expect(new Set([started, one, two].map(({ address }) => address.port)).size).toBe(3)
      expect(await answersPing(one.address)).toBe(false)
      await Promise.all([one.restart(), two.restart()])
      await expect.poll(() => answersPing(one.address)).toBe(true)
      await expect.poll(() => answersPing(two.address)).toBe(true)
      await leaveTrace('redis', one.address)
      expect(await hasTrace('redis', two.address)).toBe(false)
      expect(await hasTrace('redis', started.address)).toBe(false)
      await one.control('pause')
      expect(await answersPing(one.address)).toBe(false)
      await one.control('resume')
      await expect.poll(() => answersPing(one.address)).toBe(true)
      await one.control('stop')
      expect(await answersPing(one.address)).toBe(false)
      await one.control('start')
      await expect.poll(() => answersPing(one.address)).toBe(true)
      await leaveTrace('redis', one.address)
      await one.restart()
      await expect.poll(() => answersPing(one.address)).toBe(true)
      expect(await hasTrace('redis', one.address)).toBe(false)
      await two.control('pause')
      await started.stop()
      expect(await answersPing(one.address)).toBe(false)
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })
  })

  describeOwnServersStack({ name, leftovers })
}

function ask(address: Address, { probe }: ServiceDefinition): Promise<string> {
  return probe(address, idle())
}

function postgresAt(address: Address) {
  return { ...address, user: 'postgres', password: 'postgres', database: 'app' }
}

async function leaveTrace(service: ServiceName, address: Address): Promise<void> {
  await (service === 'postgres'
    ? withPostgres(postgresAt(address), (client) => client.query('CREATE TABLE trace ()'))
    : withRedis(address, (client) => client.set('trace', 1)))
}

async function hasTrace(service: ServiceName, address: Address): Promise<boolean> {
  if (service === 'redis') {
    return withRedis(address, async (client) => (await client.exists('trace')) === 1)
  }
  const { rows } = await withPostgres(postgresAt(address), (client) =>
    client.query<{ found: boolean }>("SELECT to_regclass('trace') IS NOT NULL AS found"),
  )
  return rows[0]?.found === true
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

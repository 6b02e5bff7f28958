import { createServer } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { InfraError } from '../../src/errors.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { withRedis } from '../../src/services/redis.ts'
import { answersPing } from '../../src/services/redis-admin.ts'
import type { Address, StartedService } from '../../src/services/service.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import {
  admit,
  idle,
  type Open,
  type Opened,
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
    describe('two servers, from start to stop', () => {
      let one: Server, two: Server, port: number

      beforeAll(async () => {
        port = await freePort()
        const opened = await Promise.all([open(service), open(service, { [service]: { port } })])
        ;[one, two] = (await Promise.all(opened.map(startHealthy))) as [Server, Server]
      })
      afterAll(async () => {
        await Promise.all([one.started.stop(), two.started.stop()])
      })

      test('a server tells its free space and its log', async () => {
        expect(await one.started.freeBytes()).toBeGreaterThan(0)
        expect(await one.started.logTail(40)).toMatch(/ready to accept connections/i)
      })

      test('a server listens on its pinned port', () => {
        expect(two.started.address.port).toBe(port)
        expect(one.started.address.port).not.toBe(port)
      })

      test('each server has its own data', async () => {
        await leaveTrace(service, one.started.address)
        expect(await hasTrace(service, one.started.address)).toBe(true)
        expect(await hasTrace(service, two.started.address)).toBe(false)
      })

      test('a stopped server is gone, stopping it again does nothing, and the other server goes on', async () => {
        await one.started.stop()
        await one.started.stop()
        await expect(ask(one)).rejects.toThrow(/ECONNREFUSED|closed/)
        await ask(two)
      })

      test('a service that is started again has no earlier data', async () => {
        const again = await startHealthy(one)
        onTestFinished(() => again.started.stop())
        expect(await hasTrace(service, again.started.address)).toBe(false)
      })

      test('nothing is left of stopped servers', async () => {
        await two.started.stop()
        await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
      })
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

  describe(`${name}: postgres with options`, () => {
    const account = { user: 'Ada L', password: 'p w', database: 'shop "y"' }
    let server: Server
    const query = async (sql: string, values: unknown[] = []) => {
      const place = { ...server.started.address, ...account }
      return (await withPostgres(place, (client) => client.query<Record<string, unknown>>(sql, values))).rows
    }

    beforeAll(async () => {
      const settings = { work_mem: '7MB' }
      server = await startHealthy(
        await open('postgres', { postgres: { ...account, settings, initdbArgs: '--wal-segsize=2' } }),
      )
    })
    afterAll(async () => {
      await server.started.stop()
    })

    test('has the configured user, password and database', async () => {
      const role =
        'SELECT current_user AS role, current_database() AS name, rolsuper AS super FROM pg_roles WHERE rolname = current_user'
      expect(await query(role)).toEqual([{ role: 'Ada L', name: 'shop "y"', super: true }])
      const stranger = { ...server.started.address, ...account, password: 'wrong' }
      await expect(withPostgres(stranger, async () => {})).rejects.toThrow('password authentication failed')
    })

    test("uses the configured settings and initdb's arguments, and UTC and UTF-8 by default", async () => {
      const names = ['work_mem', 'wal_segment_size', 'fsync', 'server_encoding', 'max_connections']
      const values = await query('SELECT current_setting(name) AS value FROM unnest($1::text[]) AS name', [names])
      expect(values.map(({ value }) => value)).toEqual(['7MB', '2MB', 'off', 'UTF8', '500'])
      const offset = "SELECT extract(timezone FROM timestamptz '2026-07-01')::int AS seconds"
      expect(await query(offset)).toEqual([{ seconds: 0 }])
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

/** A healthy server, and what started it. */
interface Server extends Opened {
  readonly started: StartedService
}

async function startHealthy({ provider, definition }: Opened): Promise<Server> {
  const started = await provider.start(definition, { report: () => {}, signal: idle() })
  await admit(started, definition)
  return { provider, definition, started }
}

function ask({ started, definition }: Server): Promise<string> {
  return definition.probe(started.address, idle())
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

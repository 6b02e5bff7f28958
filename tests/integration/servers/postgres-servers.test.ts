import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { connect, type PostgresStack, startPostgresStack, valuesOf } from './postgres-support.ts'

const ROLES = "SELECT rolname FROM pg_roles WHERE rolname IN ('reader', 'migration_role') ORDER BY 1"
const SLOTS = 'SELECT slot_name FROM pg_replication_slots'
const WORK_MEM = 'SHOW work_mem'
const DATABASES = "SELECT datname FROM pg_database WHERE datname = 'shop_archive'"

vi.setConfig({ testTimeout: 30_000 })

let folder: string
let stack: PostgresStack

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servers-'))
  await writeFile(join(folder, 'schema.sql'), 'CREATE TABLE notes (n int); CREATE ROLE migration_role;')
  await writeFile(join(folder, 'reference.sql'), 'INSERT INTO notes VALUES (1);')
  stack = await startPostgresStack(
    {
      postgres: { user: 'shop_owner', migrations: 'schema.sql', seeds: [], settings: { wal_level: 'logical' } },
      templates: {
        reference: { seeds: 'reference.sql' },
        broken: {
          seeds: async () => {
            throw new Error('no such customer')
          },
        },
      },
    },
    folder,
  )
}, 60_000)
afterAll(async () => {
  await stack.stop()
  await rm(folder, { recursive: true })
})

/** Changes all that belongs to a server. */
async function leaveTraces(client: pg.Client): Promise<void> {
  await client.query('CREATE ROLE reader LOGIN; GRANT SELECT ON notes TO reader')
  await client.query("SELECT pg_create_logical_replication_slot('feed', 'test_decoding')")
  await client.query("ALTER SYSTEM SET work_mem = '7MB'")
  await client.query('SELECT pg_reload_conf()')
  await client.query('CREATE DATABASE shop_archive')
  await expect.poll(() => valuesOf(client, WORK_MEM)).toEqual(['7MB'])
}

async function tracesIn(client: pg.Client): Promise<unknown[]> {
  const traces: unknown[] = []
  for (const query of [ROLES, SLOTS, WORK_MEM, DATABASES]) {
    traces.push(...(await valuesOf(client, query)))
  }
  return traces
}

function builtTemplates(): string[] {
  return stack.events.flatMap((event) => (event.type === 'template-ready' && event.isNew ? [event.template] : []))
}

test('two files make the same changes to their own servers without conflict', async () => {
  const clients = await Promise.all([connect(await stack.lease()), connect(await stack.lease())])
  await Promise.all(clients.map(leaveTraces))
  for (const client of clients) {
    expect(await tracesIn(client)).toEqual(['migration_role', 'reader', 'feed', '7MB', 'shop_archive'])
  }
  const main = new pg.Client(stack.facts.postgres.url)
  await main.connect()
  expect(await tracesIn(main)).toEqual(['migration_role', '4MB'])
  await main.end()
})

test('the next lease of a server has no data of the last file, whose clients are cut off', async () => {
  const ports = new Set<number>()
  const counts: number[] = []
  for (let round = 0; round < 8; round += 1) {
    const lease = await stack.lease()
    const client = await connect(lease)
    ports.add(lease.facts.postgres.port)
    expect(await tracesIn(client)).toEqual(['migration_role', '4MB'])
    counts.push(...((await valuesOf(client, 'SELECT count(*)::int FROM notes')) as number[]))
    await client.query('INSERT INTO notes VALUES (1)')
    await leaveTraces(client)
    const ended = new Promise((resolve) => client.once('end', resolve))
    await stack.leases.release(lease.lease)
    await ended
  }
  expect(counts).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  // There are four servers, so each was leased twice.
  expect(ports.size).toBe(4)
})

test('the main server is not affected', async () => {
  const main = new pg.Client(stack.facts.postgres.url)
  await main.connect()
  const began = () => valuesOf(main, 'SELECT pg_postmaster_start_time()::text')
  const before = await began()
  for (let round = 0; round < 4; round += 1) {
    const lease = await stack.lease()
    const client = await connect(lease)
    void client.query('SELECT pg_sleep(60)').catch(() => {})
    await stack.leases.control(lease.lease, 'postgres', round % 2 === 0 ? 'pause' : 'restart')
    await stack.leases.release(lease.lease)
  }
  await stack.lease()
  expect(await began()).toEqual(before)
  expect(await valuesOf(main, 'SELECT count(*)::int FROM pg_stat_activity')).not.toEqual([0])
  await main.end()
})

test("a test's database is its own clone on its file's server", async () => {
  const file = await stack.lease({ template: 'reference' })
  const own = await stack.lease({ template: 'reference', onServerOf: file.lease })
  const [{ database, ...server }, { database: ownDatabase, ...ownServer }] = [file.facts.postgres, own.facts.postgres]
  expect([ownServer.host, ownServer.port]).toEqual([server.host, server.port])
  expect(ownDatabase).not.toBe(database)
  const client = await connect(own)
  await client.query('CREATE ROLE reader; INSERT INTO notes VALUES (2)')
  expect(await valuesOf(client, 'SELECT n FROM notes')).toEqual([1, 2])
  expect(await valuesOf(await connect(file), 'SELECT n FROM notes')).toEqual([1])
  await client.end()
  await stack.leases.release(own.lease)
  const other = await connect(file)
  await expect.poll(() => valuesOf(other, `SELECT 1 FROM pg_database WHERE datname = '${ownDatabase}'`)).toEqual([])
})

test("a test's database is on the shared server if its file's is", async () => {
  const file = await stack.lease({ wants: [] })
  const own = await stack.lease({ onServerOf: file.lease })
  expect(own.facts.postgres.port).toBe(stack.facts.postgres.port)
  expect(await valuesOf(await connect(own), 'SELECT n FROM notes')).toEqual([])
})

test('a server leased by one file holds no database of another', async () => {
  const file = await stack.lease()
  const other = await openLeaseClient(stack.socket)
  const request = {
    project: '',
    owner: 'other',
    span: 'test',
    wants: ['postgres'],
    template: 'default',
    reuse: false,
  } as const
  await expect(other.acquire({ ...request, onServerOf: file.lease })).rejects.toThrow('Cannot find lease')
  await expect(other.control(file.lease, 'postgres', 'stop')).rejects.toThrow('Cannot find lease')
  expect(await valuesOf(await connect(file), 'SELECT 1')).toEqual([1])
})

test('a template that cannot be built rejects the request and uses up no server', async () => {
  for (let round = 0; round < 5; round += 1) {
    await expect(stack.lease({ template: 'broken' })).rejects.toThrow('no such customer')
  }
  expect(await valuesOf(await connect(await stack.lease({ template: 'reference' })), 'SELECT n FROM notes')).toEqual([
    1,
  ])
})

test('templates are built once, not for each server', () => {
  expect(builtTemplates()).toEqual(['default', 'reference'])
})

test('a request for a used server gets it unchanged, and another template on it', async () => {
  const first = await stack.lease({ reuse: true })
  await leaveTraces(await connect(first))
  await stack.leases.release(first.lease)
  const again = await stack.lease({ reuse: true })
  expect(again.facts.postgres).toEqual(first.facts.postgres)
  expect(await tracesIn(await connect(again))).toContain('reader')
  await stack.leases.release(again.lease)
  const other = await stack.lease({ reuse: true, template: 'reference' })
  expect(other.facts.postgres).toMatchObject({
    port: first.facts.postgres.port,
    database: expect.not.stringMatching(first.facts.postgres.database),
  })
  const client = await connect(other)
  expect(await valuesOf(client, 'SELECT n FROM notes')).toEqual([1])
  expect(await tracesIn(client)).toContain('reader')
})

test('a used server that its last user stopped is not reused unchanged', async () => {
  const first = await stack.lease({ reuse: true })
  await stack.leases.control(first.lease, 'postgres', 'stop')
  await stack.leases.release(first.lease)
  const next = await connect(await stack.lease({ reuse: true }))
  expect(await valuesOf(next, 'SELECT n FROM notes')).toEqual([])
})

describe('a server that is reset between files', () => {
  test('equals a new one and keeps its clients', async () => {
    const lease = await stack.lease()
    const client = await connect(lease)
    const pid = await valuesOf(client, 'SELECT pg_backend_pid()')
    await leaveTraces(client)
    await client.query('INSERT INTO notes VALUES (1); CREATE TABLE extra (); ALTER TABLE extra OWNER TO reader')
    await stack.leases.reset(lease.lease, 'the next file')
    await expect.poll(() => tracesIn(client)).toEqual(['migration_role', '4MB'])
    expect(await valuesOf(client, 'SELECT count(*)::int FROM notes')).toEqual([0])
    expect(await valuesOf(client, 'SELECT pg_backend_pid()')).toEqual(pid)
  })

  test.for<[string, string]>([
    ['ALTER ROLE migration_role CREATEDB', 'role "migration_role" was altered or dropped'],
    ["ALTER ROLE migration_role SET work_mem = '1MB'", 'role "migration_role" was altered or dropped'],
    ['DROP ROLE migration_role', 'role "migration_role" was altered or dropped'],
    ['ALTER SYSTEM SET max_wal_senders = 5', 'setting "max_wal_senders" was changed by a restart'],
  ])('is refused after %s', async ([change, observed]) => {
    const lease = await stack.lease()
    await (await connect(lease)).query(change)
    await stack.leases.control(lease.lease, 'postgres', 'restart')
    await expect(stack.leases.reset(lease.lease, 'the next file')).rejects.toMatchObject({
      code: 'INFRA_LEASE_FAILED',
      message: expect.stringMatching(
        `^Cannot reset the PostgreSQL server for the next test file: .*${observed}.*
Leave isolate at true, so that every file gets a new server$`,
      ),
    })
  })
})

test('edited sources reach idle servers and released ones', async () => {
  const held = await stack.lease()
  await writeFile(join(folder, 'reference.sql'), 'INSERT INTO notes VALUES (3), (4);')
  await stack.refresh()
  const leases = [await stack.lease({ template: 'reference' }), await stack.lease({ template: 'reference' })]
  await stack.leases.release(held.lease)
  leases.push(await stack.lease({ template: 'reference' }), await stack.lease({ template: 'reference' }))
  for (const lease of leases) {
    expect(await valuesOf(await connect(lease), 'SELECT n FROM notes')).toEqual([3, 4])
  }
  expect(builtTemplates()).toEqual(['default', 'reference', 'reference'])
})

test('a pool left by a file cannot reach the data of the next file on its port', async () => {
  const first = await stack.lease()
  const pool = new pg.Pool({ connectionString: first.facts.postgres.url, max: 1 }).on('error', () => {})
  onTestFinished(() => pool.end())
  await pool.query('SELECT 1')
  await stack.leases.release(first.lease)
  let next = await stack.lease()
  while (next.facts.postgres.port !== first.facts.postgres.port) {
    await stack.leases.release(next.lease)
    next = await stack.lease()
  }
  await (await connect(next)).query('INSERT INTO notes VALUES (7)')
  await expect(pool.query('SELECT n FROM notes')).rejects.toThrow(/^database ".*" does not exist$|terminated/)
  await expect(pool.query('SELECT n FROM notes')).rejects.toThrow(/^database ".*" does not exist$/)
})

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { postgresUrl } from '../../../src/environment/variable-set.ts'
import { sweepDatabases } from '../../../src/external/sweep-databases.ts'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { MarkedSchemas } from '../../../src/external/marked-schemas.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import { SchemaAdmin } from '../../../src/external/schema-admin.ts'
import { PASSWORD, type SomebodysServers, startSomebodysServers, UNTOUCHED } from '../../support/somebodys-servers.ts'
import { claimRun, startExternal } from './external-support.ts'

const LEASE = {
  project: '',
  owner: 'one',
  span: 'file',
  wants: ['postgres'],
  template: 'default',
  reuse: false,
} as const
const MIGRATION = 'CREATE TABLE accounts (name text); CREATE TYPE mood AS ENUM ($$ok$$);'
const WITH_TENANT = { ...UNTOUCHED, roles: ['clerk', 'postgres', 'tenant'] }

let servers: SomebodysServers

beforeAll(async () => {
  servers = await startSomebodysServers()
  await asOwner(`CREATE ROLE tenant LOGIN PASSWORD '${PASSWORD}'; GRANT CREATE ON DATABASE app TO tenant`)
})
afterAll(() => servers.stop())

function asOwner(sql: string) {
  return withPostgres(servers.postgres, async (client) => (await client.query(sql)).rows)
}

function tenant() {
  return { ...servers.postgres, user: 'tenant' }
}

function schemas(): Promise<readonly { name: string }[]> {
  return asOwner("SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'vitest%' ORDER BY 1")
}

async function project(migration: string): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'schemas-'))
  onTestFinished(() => rm(root, { recursive: true }))
  await mkdir(join(root, 'fixtures/postgres/migrations'), { recursive: true })
  await writeFile(join(root, 'fixtures/postgres/migrations/1.sql'), migration)
  return root
}

async function start(migration = MIGRATION, url = postgresUrl(tenant())) {
  const root = await project(migration)
  const options = { services: ['postgres'], postgres: { isolation: 'schema' }, external: { postgres: url } } as const
  return startExternal(servers, options, { root })
}

test('a role without CREATEDB leases separate schemas and leaves the database unchanged', async () => {
  const infra = await start()
  const { facts, socket } = await infra.up
  expect(facts.postgres).toMatchObject({ database: 'app', schema: expect.stringMatching(/^vitest_infra_.+_main$/) })
  const client = await openLeaseClient(socket)
  const [one, other] = await Promise.all([client.acquire(LEASE), client.acquire(LEASE)])
  expect(one.facts.postgres.schema).not.toBe(other.facts.postgres.schema)
  const tables = await Promise.all(
    [one, other].map(async ({ facts: { postgres } }, number) => {
      const connection = new pg.Client({ connectionString: postgres.url })
      await connection.connect()
      await connection.query('INSERT INTO accounts VALUES ($1)', [number])
      const { rows } = await connection.query('SELECT name FROM accounts')
      await connection.end()
      return rows
    }),
  )
  expect(tables).toEqual([[{ name: '0' }], [{ name: '1' }]])
  await client.reset(one.lease, 'one')
  const { rows } = await withPostgres(one.facts.postgres, (connection) => connection.query('SELECT name FROM accounts'))
  expect(rows).toEqual([])
  await infra.stop()
  expect(await schemas()).toEqual([])
  expect(await servers.look()).toEqual(WITH_TENANT)
})

test('a role without the right to create schemas gets the command for its administrator', async () => {
  await asOwner(`CREATE ROLE guest LOGIN PASSWORD '${PASSWORD}'`)
  onTestFinished(async () => void (await asOwner('DROP ROLE guest')))
  const infra = await start(MIGRATION, postgresUrl({ ...servers.postgres, user: 'guest' }))
  await expect(infra.up).rejects.toMatchObject({
    code: 'INFRA_ROLE_REFUSED',
    message:
      `Cannot use role "guest" of the PostgreSQL on localhost:${servers.postgres.port}: it may not create schemas in database "app"\n` +
      'Have an administrator run: GRANT CREATE ON DATABASE "app" TO "guest"',
  })
})

test('migrations that create objects outside their schema fail and name them', async () => {
  await asOwner('CREATE SCHEMA AUTHORIZATION tenant')
  onTestFinished(async () => void (await asOwner('DROP SCHEMA tenant CASCADE')))
  const infra = await start('CREATE TABLE tenant.shared ()')
  await expect(infra.up).rejects.toMatchObject({
    code: 'INFRA_SEED_FAILED',
    message: expect.stringContaining('created table tenant.shared, which all schemas would share'),
  })
  await infra.stop()
  expect(await schemas()).toEqual([])
})

test("only clients that use a run's schemas are cut off at its end", async () => {
  const infra = await start()
  const { facts } = await infra.up
  const [user, bystander] = [new pg.Client({ connectionString: facts.postgres.url }), new pg.Client(servers.postgres)]
  user.on('error', () => {})
  onTestFinished(() => bystander.end())
  await Promise.all([user.connect(), bystander.connect()])
  const ended = new Promise((resolve) => user.once('end', resolve))
  await user.query('BEGIN; INSERT INTO accounts VALUES ($$open$$)')
  await bystander.query('BEGIN; SELECT FROM accounts')
  await infra.stop()
  await ended
  expect((await bystander.query('SELECT name FROM accounts')).rows).toEqual([{ name: 'ada' }])
  expect(await schemas()).toEqual([])
})

test('a sweep drops only the schemas of ended runs', async () => {
  const place = { ...tenant(), database: 'app' }
  const [dead, living] = [await claimRun({ postgres: place }, 6, 'app'), await claimRun({ postgres: place }, 6, 'app')]
  const names = [dead, living].map(({ runId }) => `vitest_infra_${runId}_1`) as [string, string]
  await withPostgres(place, (client) => client.query(names.map((name) => `CREATE SCHEMA ${name}`).join(';')))
  await asOwner('CREATE SCHEMA vitest_infra_backup; CREATE SCHEMA vitest_infra_0badcafe_1')
  await dead.end()
  const admin = await SchemaAdmin.open(place)
  onTestFinished(async () => {
    await admin.close()
    await asOwner(`DROP SCHEMA vitest_infra_backup; DROP SCHEMA vitest_infra_0badcafe_1; DROP SCHEMA ${names[1]}`)
  })
  const sweeping = await claimRun({ postgres: place }, 6, 'app')
  const { claim, runId } = sweeping
  await sweepDatabases({ admin, claim, marked: new MarkedSchemas(claim), runId })
  const left = [names[1], 'vitest_infra_0badcafe_1', 'vitest_infra_backup'].toSorted()
  expect((await schemas()).map(({ name }) => name)).toEqual(left)
  await expect(admin.dropDatabase('public', { force: true })).rejects.toMatchObject({ code: 'INFRA_LEASE_FAILED' })
  await expect(admin.createDatabase('vitest_infra_backup', '')).rejects.toMatchObject({ code: 'INFRA_LEASE_FAILED' })
})

test('dropping a schema does not cut off clients of a schema with a longer name', async () => {
  const place = { ...tenant(), database: 'app' }
  const [one, ten] = ['vitest_infra_0badcafe_1_1', 'vitest_infra_0badcafe_1_10']
  await withPostgres(place, (client) =>
    client.query(`CREATE SCHEMA ${one}; CREATE SCHEMA ${ten}; CREATE TABLE ${ten}.notes ()`),
  )
  const admin = await SchemaAdmin.open(place)
  onTestFinished(async () => {
    await admin.dropDatabase(ten, { force: true })
    await admin.close()
  })
  await withPostgres(place, async (user) => {
    await user.query(`BEGIN; SELECT FROM ${ten}.notes`)
    expect(await admin.dropDatabase(one, { force: true })).toBe(true)
    expect((await user.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

test('the lock timeout of a drop does not apply to later statements', async () => {
  const admin = await SchemaAdmin.open(tenant())
  const other = new pg.Client(tenant())
  onTestFinished(async () => {
    await Promise.all([admin.close(), other.end()])
  })
  await other.connect()
  const name = 'vitest_infra_0badcafe_waits'
  await admin.dropDatabase(name, { force: false })
  await other.query(`BEGIN; CREATE SCHEMA ${name}`)
  const creating = admin.createDatabase(name, 'none')
  // For longer than a polite drop waits.
  const waiting = `SELECT wait_event_type AS waits FROM pg_stat_activity
    WHERE query LIKE 'CREATE SCHEMA "vitest%' AND clock_timestamp() - query_start > '300 ms'`
  await expect.poll(() => asOwner(waiting)).toEqual([{ waits: 'Lock' }])
  await other.query('ROLLBACK')
  await creating
  expect(await schemas()).toEqual([{ name }])
  expect(await admin.dropDatabase(name, { force: false })).toBe(true)
})

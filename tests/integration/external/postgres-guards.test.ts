import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { postgresUrl } from '../../../src/environment/variable-set.ts'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { sweepDatabases } from '../../../src/external/sweep-databases.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import type { SeedContext } from '../../../src/config/infra-options.ts'
import {
  PASSWORD,
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../../support/somebodys-servers.ts'
import { claimRun, startExternal } from './external-support.ts'

const LEASE = { project: '', owner: 'a', span: 'file', wants: ['postgres'], template: 'default', reuse: false } as const
/** A template's fingerprint. */
const print = (number: number) => String(number).padStart(24, '0')

let servers: SomebodysServers

beforeAll(async () => {
  servers = await startSomebodysServers()
})
afterAll(() => servers.stop())

function ask(sql: string, database = 'postgres') {
  return withPostgres({ ...servers.postgres, database }, async (client) => (await client.query(sql)).rows)
}

/** Another role without any objects, dropped after the test. */
async function createRole(name: string, may: string) {
  await ask(`CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}' ${may}`)
  onTestFinished(async () => {
    await ask(`DROP OWNED BY ${name}`)
    for (const { datname } of await ask(`SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '${name}'`)) {
      await ask(`ALTER DATABASE ${datname} IS_TEMPLATE false`)
      await ask(`DROP DATABASE ${datname}`)
    }
    await ask(`DROP ROLE ${name}`)
  })
  return { postgres: postgresUrl({ ...servers.postgres, user: name }) }
}

test('a role without CREATEDB is refused with the command that grants it; nothing is left', async () => {
  const external = await createRole('visitor', 'NOCREATEDB')
  const infra = startExternal(servers, { services: ['postgres'], external })
  await expect(infra.up).rejects.toMatchObject({
    code: 'INFRA_ROLE_REFUSED',
    message:
      `Cannot use role "visitor" of the PostgreSQL on localhost:${servers.postgres.port}: it may not create databases\n` +
      `Have an administrator run: ALTER ROLE "visitor" CREATEDB; or set postgres.isolation to 'schema', which only needs schemas`,
  })
  await infra.stop()
  expect(await servers.look()).toEqual({ ...UNTOUCHED, roles: ['clerk', 'postgres', 'visitor'] })
})

test('a template of a function without a key is built and dropped by each run', async () => {
  const root = `${import.meta.dirname}/../../..`
  for (const count of [10, 20]) {
    const seeds = ({ pool }: SeedContext) => pool.query(`CREATE TABLE users AS SELECT generate_series(1, ${count})`)
    const options = { services: ['postgres'], postgres: { migrations: 'fixtures/postgres/migrations', seeds } } as const
    const infra = startExternal(servers, options, { root })
    const { facts } = await infra.up
    expect(await ask('SELECT count(*)::int FROM users', facts.postgres.database)).toEqual([{ count }])
    await infra.stop()
    const { databases } = await servers.look()
    expect(databases.filter((name) => /^vitest_infra_[0-9a-f]{8}_/.test(name))).toEqual([])
  }
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

test('CREATEDB is enough: the role needs no superuser rights and no template database of one', async () => {
  const external = await createRole('tester', 'CREATEDB')
  const root = `${import.meta.dirname}/../../..`
  const superuser = startExternal(servers, { services: ['postgres'] }, { root })
  await superuser.up
  const infra = startExternal(servers, { services: ['postgres'], external }, { root })
  const client = await openLeaseClient((await infra.up).socket)
  const [one, other] = await Promise.all([client.acquire(LEASE), client.acquire(LEASE)])
  const { postgres } = one.facts
  expect(postgres).toMatchObject({ user: 'tester', password: PASSWORD })
  expect(postgres.database).not.toBe(other.facts.postgres.database)
  const { rows } = await withPostgres(postgres, (connection) =>
    connection.query('DELETE FROM orders RETURNING 1 AS one'),
  )
  expect(rows.length).toBeGreaterThan(0)
  await infra.stop()
  await superuser.stop()
  expect(withoutTemplates(await servers.look())).toEqual({ ...UNTOUCHED, roles: ['clerk', 'postgres', 'tester'] })
})

test('a wrong password is reported at once and never printed', async () => {
  const wrong = 'this-was-never-it'
  const external = { postgres: postgresUrl({ ...servers.postgres, password: wrong }) }
  const error = await startExternal(servers, { services: ['postgres'], external }).up.catch((reason: unknown) => reason)
  expect(error).toMatchObject({
    code: 'INFRA_SERVICE_START',
    message:
      `Cannot use service "postgres" on localhost:${servers.postgres.port}: password authentication failed for user "postgres"\n` +
      'Correct user and password in external.postgres or DATABASE_URL',
  })
  expect(JSON.stringify(error)).not.toContain(wrong)
})

test('tests never get the database that the URL names, not even with isolation "shared"', async () => {
  const infra = startExternal(servers, { services: ['postgres'], isolation: 'shared' })
  const { facts } = await infra.up
  expect(facts.postgres.database).toMatch(/^vitest_infra_[0-9a-f]{8}_main$/)
  await withPostgres(facts.postgres, (client) => client.query('CREATE TABLE accounts ()'))
  await infra.stop()
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

test.for(['app', 'postgres', 'template1', 'vitest_infra_backup', 'vitest_infra_t_backup', 'vitest_infra_0_1'])(
  'database %s without our mark is neither created nor dropped',
  async (name) => {
    const { admin } = await claimRun(servers)
    const refusal = { code: 'INFRA_LEASE_FAILED', message: expect.stringContaining('does not bear the mark') }
    await expect(admin.dropDatabase(name, { force: true })).rejects.toMatchObject(refusal)
    await expect(admin.dropTemplate(name, { force: false })).rejects.toMatchObject(refusal)
    await expect(admin.createDatabase(name)).rejects.toMatchObject(refusal)
    expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
  },
)

test('a sweep drops leftovers of ended runs, not those of live runs or other roles', async () => {
  await createRole('colleague', 'CREATEDB')
  const [dead, living, sweeping] = [await claimRun(servers), await claimRun(servers), await claimRun(servers)]
  const names = [dead, living].map(({ runId }) => `vitest_infra_${runId}_1_1`) as [string, string]
  for (const name of [...names, `vitest_infra_${dead.runId}_main`, 'vitest_infra_0badcafe_1']) {
    await ask(`CREATE DATABASE ${name}`)
  }
  await ask('ALTER DATABASE vitest_infra_0badcafe_1 OWNER TO colleague')
  await dead.end()
  await sweepDatabases(sweeping)
  const expected = [...UNTOUCHED.databases, names[1], 'vitest_infra_0badcafe_1'].toSorted()
  expect(withoutTemplates(await servers.look()).databases.toSorted()).toEqual(expected)
  await ask(`DROP DATABASE ${names[1]}`)
})

test('a database with a connected client stays even if its run has ended', async () => {
  const [dead, sweeping] = [await claimRun(servers), await claimRun(servers)]
  const name = `vitest_infra_${dead.runId}_1_1`
  await ask(`CREATE DATABASE ${name}`)
  await dead.end()
  await withPostgres({ ...servers.postgres, database: name }, async (client) => {
    await sweepDatabases(sweeping)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
  await sweepDatabases(sweeping)
  expect((await servers.look()).databases).not.toContain(name)
})

test('a run whose session is cut off renews its claim', async () => {
  const [cut, sweeping] = [await claimRun(servers), await claimRun(servers)]
  const name = `vitest_infra_${cut.runId}_1_1`
  await ask(`CREATE DATABASE ${name}`)
  onTestFinished(async () => void (await ask(`DROP DATABASE ${name}`)))
  const key = `hashtextextended('vitest-infra run ${cut.runId}', 0)`
  const holder = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND ((classid::bigint << 32) | objid::bigint) = ${key}`
  const [before] = await ask(holder)
  await ask(`SELECT pg_terminate_backend(${before.pid}, 5000)`)
  await expect.poll(async () => (await ask(holder)).length, { timeout: 10_000 }).toBe(1)
  expect((await ask(holder))[0].pid).not.toBe(before.pid)
  await sweepDatabases(sweeping)
  expect((await servers.look()).databases).toContain(name)
})

test('used templates and the ten newest unused ones stay; others and unsealed ones are dropped', async () => {
  await Promise.all((await servers.look()).databases.filter((name) => /_t_[0-9a-f]{24}$/.test(name)).map(dropTemplate))
  const [using, sweeping] = [await claimRun(servers), await claimRun(servers)]
  const templates = Array.from({ length: 13 }, (_, index) => `vitest_infra_t_${print(index)}`)
  for (const name of templates) {
    await ask(`CREATE DATABASE ${name} IS_TEMPLATE true`)
  }
  const half = `vitest_infra_t_${print(99)}`
  await ask(`CREATE DATABASE ${half}`)
  await using.claim.holdTemplate(templates[1] as string)
  await sweepDatabases(sweeping)
  const left = (await servers.look()).databases.filter((name) => name.startsWith('vitest_infra_t_0'))
  expect(left).toEqual([templates[1], ...templates.slice(3)])
  await Promise.all(left.map(dropTemplate))
})

test('a run counts the connections that earlier runs and other roles need', async () => {
  await createRole('neighbour', 'CREATEDB')
  const first = await claimRun(servers, 90)
  expect(await first.claim.readBudget()).toMatchObject({ maxConnections: 100, isSufficient: true })
  const second = await claimRun({ postgres: { ...servers.postgres, user: 'neighbour' } }, 20)
  const { available, isSufficient } = await second.claim.readBudget()
  expect(isSufficient).toBe(false)
  expect(available).toBeLessThan(10)
  // A later run takes nothing from earlier ones except the connection on which it waits.
  const { available: before } = await first.claim.readBudget()
  await claimRun(servers, 50)
  expect((await first.claim.readBudget()).available).toBe(before - 1)
  await first.end()
  expect(await second.claim.readBudget()).toMatchObject({ isSufficient: true })
})

async function dropTemplate(name: string): Promise<void> {
  await ask(`ALTER DATABASE ${name} IS_TEMPLATE false`)
  await ask(`DROP DATABASE ${name}`)
}

test('a run holds a template only after a sweep has released it', async () => {
  const [sweeping, using] = [await claimRun(servers), await claimRun(servers)]
  const template = `vitest_infra_t_${'0'.repeat(24)}`
  const held: string[] = []
  const holding = ['first', 'second'].map((name) => async () => {
    await using.claim.holdTemplate(template)
    held.push(name)
  })
  let waiting: Promise<unknown> = Promise.resolve()
  await sweeping.claim.ifUnused(template, async () => {
    waiting = Promise.all(holding.map((hold) => hold()))
    await sweeping.claim.query('SELECT 1')
    expect(held).toEqual([])
  })
  await waiting
  expect(held).toEqual(['first', 'second'])
})

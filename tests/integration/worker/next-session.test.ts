import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { expect, inject, onTestFinished, test } from 'vitest'
import { FixturePool } from '../../../src/worker/fixture-pool.ts'
import { postgresUrl } from '../../../src/environment/variable-set.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'

const { postgres } = inject('infra')

/** A database, a session opened before its pool, and a pool that receives it. */
async function openAhead(environment: NodeJS.ProcessEnv = {}) {
  const admin = await PostgresAdmin.open(postgres)
  const database = `next_session_${randomBytes(6).toString('hex')}`
  await admin.createDatabase(database)
  onTestFinished(async () => {
    await admin.dropDatabase(database, { force: true })
    await admin.close()
  })
  const url = postgresUrl({ ...postgres, database })
  const driver = await FixturePool.load(environment)
  const session = await driver.openSession(url)
  const openPool = () => {
    const opened = driver.openPool({ url, session, onForgotten: async () => {} })
    onTestFinished(() => opened.close())
    return opened.pool
  }
  const countSessions = async () => (await admin.sessionsOf(database)).length
  return { database, session, openPool, countSessions }
}

async function query(text: string, values: readonly string[] = []): Promise<void> {
  const client = new pg.Client(postgresUrl(postgres))
  await client.connect()
  await client.query(text, [...values])
  await client.end()
}

test("a pool's first client gets the session opened ahead, the others their own", async () => {
  const { session, openPool, countSessions } = await openAhead()
  expect(await countSessions()).toBe(1)
  expect(await session.isCurrent()).toBe(true)
  const pool = openPool()
  const connected: unknown[] = []
  pool.on('connect', (client) => connected.push(client))
  const [one, other] = [await pool.connect(), await pool.connect()]
  expect(one).toBeInstanceOf(pg.Client)
  expect(connected).toEqual([one, other])
  expect((await one.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect(await countSessions()).toBe(2)
  one.release()
  other.release()
})

test.for([
  ['of the database', (name: string) => `ALTER DATABASE "${name}" SET statement_timeout = '1min'`],
  [
    'of the role in this database',
    (name: string) => `ALTER ROLE CURRENT_USER IN DATABASE "${name}" SET search_path = nowhere`,
  ],
] as const)('a session is outdated once settings %s have changed', async ([, statement]) => {
  const { database, session } = await openAhead()
  await query(statement(database))
  expect(await session.isCurrent()).toBe(false)
  await session.close()
})

test('a session closed by the server is outdated, and a pool reconnects', async () => {
  const { database, session, openPool } = await openAhead()
  await query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [database])
  expect(await session.isCurrent()).toBe(false)
  expect((await openPool().query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test("a client with other connection options than the session's gets its own", async () => {
  const before = pg.defaults.statement_timeout
  const { openPool, countSessions } = await openAhead()
  onTestFinished(() => void (pg.defaults.statement_timeout = before))
  pg.defaults.statement_timeout = 1_000
  const { rows } = await openPool().query("SELECT current_setting('statement_timeout') AS timeout")
  expect(rows).toEqual([{ timeout: '1s' }])
  await expect.poll(countSessions).toBe(1)
})

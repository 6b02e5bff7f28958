import type pg from 'pg'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { Databases } from '../../../src/databases/databases.ts'
import type { ReleaseInfo } from '../../../src/leasing/lease-source.ts'
import { Templates } from '../../../src/databases/templates.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'

const { postgres } = inject('infra')
const FOR_FILE = { template: 'default', reuse: false } as const
const WORKER_ENDED: ReleaseInfo = { isUserGone: true }

let admin: PostgresAdmin
beforeAll(async () => {
  admin = await PostgresAdmin.open(postgres)
})
afterAll(() => admin.close())

/** Keeps no clone ready, so that the next request gets the reclaimed database or a new one. */
function createDatabases(): Databases {
  const inputs = `${expect.getState().currentTestName} ${process.pid} ${Math.random()}`
  const plan = { name: 'default', from: undefined, files: [], isEmpty: true, isRepeatable: true, inputs }
  const plans = [{ ...plan, build: async () => {} }]
  const templates = new Templates({
    admin,
    plans,
    serverVersion: '18',
    runId: '0badcafe',
    report: () => {},
    clock: systemClock,
  })
  const runId = Math.random().toString(16).slice(2, 10)
  const databases = new Databases({ admin, templates, runId, target: 0, clock: systemClock, reset: async () => {} })
  onTestFinished(() => databases.close())
  return databases
}

function query(database: string, text: string): Promise<pg.QueryResult> {
  return withPostgres({ ...postgres, database }, (client) => client.query(text))
}

async function pathExists(database: string): Promise<boolean> {
  return (await admin.templateState(database)) !== 'missing'
}

test('an unused database is given to the next file', async () => {
  const databases = createDatabases()
  const first = await databases.acquire(FOR_FILE)
  databases.release(first, WORKER_ENDED)
  await expect.poll(() => databases.acquire(FOR_FILE)).toBe(first)
})

test.for([
  ['somebody connected to', 'SELECT 1', (name: string) => name],
  ['has settings now', (name: string) => `ALTER DATABASE ${name} SET statement_timeout = '1min'`, () => 'postgres'],
  ['has a comment now', (name: string) => `COMMENT ON DATABASE ${name} IS 'mine'`, () => 'postgres'],
  ['is open to others now', (name: string) => `GRANT CREATE ON DATABASE ${name} TO PUBLIC`, () => 'postgres'],
  ['whose counters were set back', 'SELECT pg_stat_reset()', (name: string) => name],
] as const)('a database that %s is dropped', async ([, statement, place]) => {
  const databases = createDatabases()
  const name = await databases.acquire(FOR_FILE)
  await query(place(name), typeof statement === 'string' ? statement : statement(name))
  databases.release(name, WORKER_ENDED)
  await expect.poll(() => pathExists(name)).toBe(false)
})

test('a database whose worker is still running is dropped, since its clients could connect', async () => {
  const databases = createDatabases()
  const name = await databases.acquire(FOR_FILE)
  databases.release(name, { isUserGone: false })
  await expect.poll(() => pathExists(name)).toBe(false)
})

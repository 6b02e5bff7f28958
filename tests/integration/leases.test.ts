import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { InfraError } from '../../src/errors.ts'
import { systemClock } from '../../src/internal/clock.ts'
import { Databases } from '../../src/databases/databases.ts'
import { type TemplatePlan, Templates } from '../../src/databases/templates.ts'
import type { InfraEvent } from '../../src/report/events.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { PostgresAdmin } from '../../src/services/postgres-admin.ts'
import type { ProcessTask } from '../support/template-process.ts'

const PROCESS = fileURLToPath(new URL('../support/template-process.ts', import.meta.url))
const RUN_ID = Math.random().toString(16).slice(2, 10).padEnd(8, '0')
const FRESH = { template: 'default', reuse: false } as const
const USED = { template: 'default', reuse: true } as const

const { postgres } = inject('infra')
let admin: PostgresAdmin

beforeAll(async () => {
  admin = await PostgresAdmin.open(postgres)
})
afterAll(() => admin.close())

/** Text that no other test's template is made of. */
function uniqueInputs(): string {
  return `${expect.getState().currentTestName} ${process.pid} ${Math.random()}`
}

function planOf(build: TemplatePlan['build'], given: Partial<TemplatePlan> = {}): TemplatePlan {
  return {
    name: 'default',
    from: undefined,
    inputs: uniqueInputs(),
    files: [],
    isEmpty: false,
    isRepeatable: true,
    ...given,
    build,
  }
}

function planOfSql(sql: string, given: Partial<TemplatePlan> = {}): TemplatePlan {
  return planOf((address) => withPostgres(address, async (client) => void (await client.query(sql))), given)
}

function createTemplates(plans: readonly TemplatePlan[], events: InfraEvent[] = []): Templates {
  const report = (event: InfraEvent) => void events.push(event)
  return new Templates({ admin, plans, serverVersion: postgres.version, runId: RUN_ID, report, clock: systemClock })
}

function createDatabases(plans: readonly TemplatePlan[], runId = Math.random().toString(16).slice(2, 10)): Databases {
  const templates = createTemplates(plans)
  const databases = new Databases({ admin, templates, runId, target: 2, clock: systemClock, reset: async () => {} })
  onTestFinished(() => databases.close())
  return databases
}

async function query<T extends object>(database: string, text: string): Promise<T[]> {
  return withPostgres({ ...postgres, database }, async (client) => (await client.query<T>(text)).rows)
}

async function databasesLike(prefix: string): Promise<string[]> {
  const rows = await query<{ name: string }>('postgres', `SELECT datname AS name FROM pg_database ORDER BY oid`)
  return rows.map(({ name }) => name).filter((name) => name.startsWith(prefix))
}

function fingerprint(plans: readonly TemplatePlan[], name = 'default'): string {
  return createTemplates(plans).databaseOf(name)
}

async function doNothing(): Promise<void> {}

interface Started {
  readonly child: ChildProcess
  readonly lines: string[]
  readonly said: (line: string) => Promise<void>
  readonly ended: Promise<unknown>
}

function start(task: Partial<ProcessTask>): Started {
  const given: ProcessTask = { address: postgres, runId: 'one', inputs: '', buildMs: 0, databases: 0, ...task }
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(given)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)))
  const ended = once(child, 'close')
  const said = async (line: string) => {
    await expect.poll(() => lines, { timeout: 10_000, interval: 5 }).toContain(line)
  }
  return { child, lines, said, ended }
}

describe('templates', () => {
  test('two processes build the same template once', async () => {
    const inputs = uniqueInputs()
    const [one, two] = [start({ inputs, buildMs: 500 }), start({ inputs, runId: 'two', buildMs: 500 })]
    await Promise.all([one.ended, two.ended])
    expect([one.lines, two.lines].toSorted((left, right) => left.length - right.length)).toEqual([
      ['found', 'done'],
      ['building', 'built', 'done'],
    ])
  })

  test('a template whose builder was killed is detected and rebuilt', async () => {
    const inputs = uniqueInputs()
    const builder = start({ inputs, buildMs: 60_000 })
    await builder.said('building')
    const next = start({ inputs, runId: 'two', databases: 1 })
    builder.child.kill('SIGKILL')
    await next.ended
    expect(next.lines).toEqual(['building', 'built', expect.stringMatching(/^vitest_infra_two_1_\d 0$/), 'done'])
    const templates = createTemplates([planOf(doNothing, { inputs })])
    expect(templates.databaseOf('default')).toMatch(/^vitest_infra_t_[0-9a-f]{24}$/)
  })

  test('a database that the server still creates for a killed builder is replaced', async () => {
    const big = createTemplates([
      planOfSql('CREATE TABLE filler AS SELECT repeat(i::text, 100) FROM generate_series(1, 300000) i'),
    ])
    const source = await big.ensure('default')
    const templates = createTemplates([planOfSql('CREATE TABLE right_one ()')])
    const database = templates.databaseOf('default')
    const making = query('postgres', `CREATE DATABASE ${database} TEMPLATE ${source} STRATEGY WAL_LOG`)
    await Promise.all([templates.ensure('default'), making.catch(() => {})])
    expect(await admin.templateState(database)).toBe('sealed')
    const databases = createDatabases([planOf(doNothing)])
    await admin.createDatabase('right_one', database)
    expect(await query('right_one', "SELECT to_regclass('right_one') IS NOT NULL AS is")).toEqual([{ is: true }])
    await admin.dropDatabase('right_one', { force: true })
    await databases.close()
  })

  test('a function that leaves a connection open is refused, and its database is dropped', async () => {
    const clients: pg.Client[] = []
    const leak = planOf(async (address) => {
      const client = new pg.Client(address)
      await client.connect()
      clients.push(client)
    })
    const templates = createTemplates([leak])
    const refused = await templates.ensure('default').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(InfraError)
    expect(refused).toMatchObject({
      code: 'INFRA_SEED_FAILED',
      message: `Cannot seal template "default": connections to it are still open, 1 in all
Close every client and pool that its migrations and seeds open, or use the pool that they receive`,
    })
    await Promise.all(clients.map((client) => client.end()))
  })

  test('a failed template leaves no database and is built again on request', async () => {
    let attempts = 0
    const templates = createTemplates([
      planOf(async () => {
        attempts += 1
        if (attempts === 1) {
          throw new Error('no such table')
        }
      }),
    ])
    await expect(templates.ensure('default')).rejects.toThrow('no such table')
    expect(await admin.templateState(templates.databaseOf('default'))).toBe('missing')
    expect(await templates.ensure('default')).toBe(templates.databaseOf('default'))
  })

  test('each layer is built once, the lowest first', async () => {
    const events: InfraEvent[] = []
    const templates = createTemplates(
      [
        planOfSql('CREATE TABLE schema_of (n int)'),
        planOfSql('INSERT INTO schema_of VALUES (1)', { name: 'reference', from: 'default' }),
        planOfSql('INSERT INTO schema_of VALUES (2)', { name: 'scenario', from: 'reference' }),
      ],
      events,
    )
    const [scenario] = await Promise.all([templates.ensure('scenario'), templates.ensure('reference')])
    expect(events.map((event) => event.type === 'template-ready' && event.template)).toEqual([
      'default',
      'reference',
      'scenario',
    ])
    await admin.createDatabase('layered', scenario)
    expect(await query('layered', 'SELECT n FROM schema_of ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }])
    await admin.dropDatabase('layered', { force: true })
  })

  test("a template's name depends on all its inputs and on the layers below", () => {
    const layers = (below: string) => [
      planOf(doNothing, { inputs: below }),
      planOf(doNothing, { name: 'top', from: 'default', inputs: 'c' }),
    ]
    expect(fingerprint([planOf(doNothing, { inputs: 'a' })])).toBe(fingerprint([planOf(doNothing, { inputs: 'a' })]))
    expect(fingerprint([planOf(doNothing, { inputs: 'a' })])).not.toBe(
      fingerprint([planOf(doNothing, { inputs: 'b' })]),
    )
    expect(fingerprint(layers('a'), 'top')).not.toBe(fingerprint(layers('b'), 'top'))
  })
})

describe('databases', () => {
  test('two runs on one server stay separate', async () => {
    const inputs = uniqueInputs()
    const runs = ['one', 'two'].map((runId) => start({ inputs, runId, databases: 20 }))
    await Promise.all(runs.map(({ ended }) => ended))
    const taken = runs.map(({ lines }) => lines.filter((line) => line.startsWith('vitest_infra_')))
    // Each found the table empty, and no name was used twice.
    expect(taken.flat().filter((line) => !line.endsWith(' 0'))).toEqual([])
    expect(new Set(taken.flat()).size).toBe(40)
    expect(runs.map(({ lines }) => lines.at(-1))).toEqual(['done', 'done'])
    expect(await databasesLike('vitest_infra_one_')).toEqual([])
    expect(await databasesLike('vitest_infra_two_')).toEqual([])
  })

  test('each database equals its template and is dropped on release', async () => {
    const databases = createDatabases([planOfSql('CREATE TABLE notes AS SELECT 1 AS n')], 'fresh')
    const names = await Promise.all(Array.from({ length: 6 }, () => databases.acquire(FRESH)))
    expect(new Set(names).size).toBe(6)
    for (const name of names) {
      await query(name, 'INSERT INTO notes VALUES (2)')
      expect(await query(name, 'SELECT count(*)::int FROM notes')).toEqual([{ count: 2 }])
      databases.release(name)
    }
    await expect
      .poll(async () => (await databasesLike('vitest_infra_fresh_')).filter((name) => names.includes(name)))
      .toEqual([])
  })

  test('a database with a connected client is dropped after the client leaves, without delaying others', async () => {
    const databases = createDatabases([planOf(doNothing)], 'stay')
    const [used, other] = [await databases.acquire(FRESH), await databases.acquire(FRESH)]
    const client = new pg.Client({ ...postgres, database: used })
    await client.connect()
    databases.release(used)
    databases.release(other)
    await expect.poll(() => databasesLike(other)).toEqual([])
    expect(await databasesLike(used)).toEqual([used])
    await client.query('SELECT 1')
    await client.end()
    await expect.poll(() => databasesLike(used), { timeout: 3_000 }).toEqual([])
  })

  test('a used database goes, unchanged, only to requests for used ones', async () => {
    const databases = createDatabases([planOfSql('CREATE TABLE notes (n int)')], 'used')
    const first = await databases.acquire(USED)
    await query(first, 'INSERT INTO notes VALUES (7)')
    databases.release(first)
    const fresh = await databases.acquire(FRESH)
    expect(fresh).not.toBe(first)
    const [again, second] = [await databases.acquire(USED), await databases.acquire(USED)]
    expect(again).toBe(first)
    expect(await query(again, 'SELECT n FROM notes')).toEqual([{ n: 7 }])
    expect(await query(second, 'SELECT n FROM notes')).toEqual([])
    databases.release(second)
    databases.release(again)
    databases.release(fresh)
    expect([await databases.acquire(USED), await databases.acquire(USED)]).toEqual([first, second])
  })

  test('close() leaves nothing, not even leased or retained databases', async () => {
    const databases = createDatabases([planOf(doNothing)], 'end')
    const kept = await databases.acquire(USED)
    await databases.acquire(FRESH)
    databases.release(kept)
    const client = new pg.Client({ ...postgres, database: kept })
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    await client.connect()
    await databases.close()
    expect(await databasesLike('vitest_infra_end_')).toEqual([])
    await expect.poll(() => errors[0]).toMatchObject({ code: '57P01' })
  })

  test('a missing template and one that cannot be built reject the request', async () => {
    const databases = createDatabases([
      planOf(async () => {
        throw new Error('disk full')
      }),
    ])
    await expect(databases.acquire({ template: 'nobody', reuse: false })).rejects.toMatchObject({
      code: 'INFRA_TEMPLATE_UNKNOWN',
      message: `Cannot use template "nobody": there are only "default"
Add it to templates in infra.config.ts, or correct the name`,
    })
    await expect(databases.acquire(FRESH)).rejects.toThrow('disk full')
    await expect(databases.acquire(FRESH)).rejects.toThrow('disk full')
  })
})

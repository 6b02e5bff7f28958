// A process that uses a server as a run does: builds a template, creates databases, and reports each step to its
// parent.
import pg from 'pg'
import { systemClock } from '../../src/internal/clock.ts'
import { Databases } from '../../src/databases/databases.ts'
import { Templates } from '../../src/databases/templates.ts'
import type { PostgresAddress } from '../../src/environment/variable-set.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { PostgresAdmin } from '../../src/services/postgres-admin.ts'

export interface ProcessTask {
  readonly address: PostgresAddress
  readonly runId: string
  /** Inputs of the template, part of its name. */
  readonly inputs: string
  /** The duration of its build. */
  readonly buildMs: number
  /** How many databases to create, write to and drop. */
  readonly databases: number
}

const task = JSON.parse(process.argv[2] ?? '') as ProcessTask
const admin = await PostgresAdmin.open(task.address)
const templates = new Templates({
  admin,
  plans: [
    { name: 'default', from: undefined, inputs: task.inputs, files: [], isEmpty: false, isRepeatable: true, build },
  ],
  serverVersion: '18',
  runId: task.runId,
  report: (event) => say(event.type === 'template-ready' && event.isNew ? 'built' : 'found'),
  clock: systemClock,
})
const databases = new Databases({
  admin,
  templates,
  runId: task.runId,
  target: 2,
  clock: systemClock,
  reset: async () => {},
})
await templates.ensure('default')
await useDatabases()
await databases.close()
await admin.close()
say('done')

async function build(address: PostgresAddress): Promise<void> {
  await withPostgres(address, async (client) => {
    await client.query('CREATE TABLE steps (builder text)')
    await client.query('INSERT INTO steps VALUES ($1)', [task.runId])
    say('building')
    await client.query('SELECT pg_sleep($1)', [task.buildMs / 1000])
    await client.query('CREATE TABLE notes (run text)')
  })
}

async function useDatabases(): Promise<void> {
  for (let index = 0; index < task.databases; index += 1) {
    const database = await databases.acquire({ template: 'default', reuse: false })
    const pool = new pg.Pool({ ...task.address, database, max: 1 })
    const { rows } = await pool.query('INSERT INTO notes VALUES ($1) RETURNING (SELECT count(*)::int FROM notes)', [
      task.runId,
    ])
    await pool.end()
    say(`${database} ${rows[0].count}`)
    databases.release(database)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

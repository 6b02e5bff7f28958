import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { expect, onTestFinished, vi } from 'vitest'
import type { PostgresAddress } from '../../../src/environment/variable-set.ts'
import { planTemplates } from '../../../src/databases/plan-templates.ts'
import type { TemplatePlan } from '../../../src/databases/templates.ts'
import type { Seed } from '../../../src/config/infra-options.ts'

/** Where each tool has a small project. */
export const FIXTURES = fileURLToPath(new URL('../../../fixtures/migrations', import.meta.url))

/** An empty database of the test's own on the suite's server. */
export async function createDatabase(): Promise<PostgresAddress> {
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  const server = { host: url.hostname, port: Number(url.port), user, password }
  const address = { ...server, database: `migrations_${randomUUID()}` }
  const admin = await connect({ ...server, database: url.pathname.slice(1) })
  await admin.query(`CREATE DATABASE "${address.database}"`)
  onTestFinished(async () => {
    await admin.query(`DROP DATABASE "${address.database}" WITH (FORCE)`)
  })
  return address
}

/**
 * Fills a database as a template is filled, and requires that it can be sealed: that no client stays connected.
 *
 * @returns a client on it
 */
export async function buildTemplate(migrations: Seed, root: string = FIXTURES): Promise<Client> {
  const address = await createDatabase()
  const plan = await planTemplate(migrations, root)
  await plan.build(address)
  const client = await connect(address)
  await vi.waitFor(async () => expect(await othersOn(client)).toEqual([]), { timeout: 2_000 })
  return client
}

/** The plan of a template that this alone makes. */
export async function planTemplate(migrations: Seed, root: string = FIXTURES): Promise<TemplatePlan> {
  const template = { name: 'default', from: undefined, extensions: [], migrations: [migrations], seeds: [] }
  const [plan] = planTemplates([template], root)
  return plan as TemplatePlan
}

/** The tables outside of PostgreSQL's own schemas, with the columns of each. */
export async function readTables(client: Client): Promise<Record<string, string[]>> {
  const { rows } = await client.query<{ table: string; columns: string[] }>(`
    SELECT table_name AS table, array_agg(column_name::text ORDER BY ordinal_position) AS columns
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
    GROUP BY table_name ORDER BY table_name`)
  return Object.fromEntries(rows.map(({ table, columns }) => [table, columns]))
}

async function connect(address: PostgresAddress): Promise<Client> {
  const client = new Client(address)
  await client.connect()
  onTestFinished(() => client.end())
  return client
}

async function othersOn(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT application_name AS name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  return rows.map(({ name }) => name)
}

import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { withPostgres } from '../../../src/services/postgres.ts'
import type { InfraOptions, SeedContext } from '../../../src/config/infra-options.ts'
import { type SomebodysServers, startSomebodysServers } from '../../support/somebodys-servers.ts'
import { createProject } from '../../unit/support/create-project.ts'
import { connect, startPostgresStack, valuesOf } from '../servers/postgres-support.ts'

const OURS: InfraOptions = { provider: 'embedded' }
const ROLES = 'SELECT rolname FROM pg_roles WHERE oid >= 16384 ORDER BY oid'
const TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"

let servers: SomebodysServers

beforeAll(async () => {
  servers = await startSomebodysServers()
})
afterAll(() => servers.stop())

/** A run in watch mode, with a lease after each edit. */
async function watch(options: InfraOptions, first: string) {
  const root = createProject({ '1.sql': first })
  const file = join(root, '1.sql')
  const stack = await startPostgresStack(
    { snapshot: false, ...options, postgres: { isolation: 'database', migrations: ['1.sql'], ...options.postgres } },
    root,
  )
  onTestFinished(() => stack.stop())
  const refresh = async () => {
    stack.beginRerun()
    await stack.refresh()
  }
  return {
    file,
    refresh,
    lease: async () => connect(await stack.lease()),
    edit: async (text: string) => {
      await writeFile(file, text)
      await refresh()
    },
  }
}

test('an edited migration recreates its roles, databases and settings on a managed server', async () => {
  const make = `CREATE ROLE app LOGIN; CREATE DATABASE analytics; ALTER SYSTEM SET work_mem = '7MB';
    SELECT pg_reload_conf(); CREATE TABLE one (); GRANT SELECT ON one TO app;`
  const run = await watch(OURS, make)
  const held = await run.lease()
  expect(await valuesOf(held, ROLES)).toEqual(['app'])

  await run.edit(`${make} CREATE TABLE two (); GRANT SELECT ON two TO app;`)
  const second = await run.lease()
  expect(await valuesOf(second, TABLES)).toEqual(['one', 'two'])
  expect(await valuesOf(second, "SELECT has_table_privilege('app', 'two', 'SELECT')")).toEqual([true])
  expect(await valuesOf(second, "SELECT datname FROM pg_database WHERE datname = 'analytics'")).toEqual(['analytics'])
  // An earlier database keeps its content.
  expect(await valuesOf(held, TABLES)).toEqual(['one'])

  // Leftovers of a failed migration do not disturb either.
  await run.edit(`${make}\nCREATE ROLE other;\nCREATE TABLE wrong;`)
  for (const _ of [1, 2]) {
    await expect(run.lease()).rejects.toThrow('Cannot load 1.sql:4: syntax error')
    await run.refresh()
  }
  await run.edit(`${make} CREATE ROLE other;`)
  expect(await valuesOf(await run.lease(), ROLES.replace('ORDER', "AND rolname !~ '^vitest' ORDER"))).toEqual([
    'app',
    'other',
  ])

  // Back to the first one, whose template was dropped with its role.
  await run.edit(make)
  const last = await run.lease()
  expect(await valuesOf(last, "SELECT has_table_privilege('app', 'one', 'SELECT')")).toEqual([true])
  await run.edit('CREATE TABLE three ()')
  const bare = await run.lease()
  expect(await valuesOf(bare, ROLES.replace('ORDER', "AND rolname !~ '^vitest' ORDER"))).toEqual([])
  expect(await valuesOf(bare, "SELECT datname FROM pg_database WHERE datname = 'analytics'")).toEqual([])
  await expect.poll(() => valuesOf(bare, "SELECT setting FROM pg_settings WHERE name = 'work_mem'")).toEqual(['4096'])
})

test.for<[string, () => InfraOptions]>([
  ['of ours', () => OURS],
  ['that is there already', () => ({ provider: 'external', external: servers.external })],
])('a missing migration fails every file until it is back, on a server %s', async ([, options]) => {
  const run = await watch(options(), 'CREATE TABLE one ()')
  await rm(run.file)
  await run.refresh()
  await expect(run.lease()).rejects.toMatchObject({ code: 'INFRA_SEED_MISSING' })
  await run.edit('CREATE TABLE two ()')
  expect(await valuesOf(await run.lease(), TABLES)).toEqual(['two'])
})

test.for<[string, string, string, string]>([
  [
    'role',
    'CREATE ROLE app',
    'DROP ROLE app',
    `Roles belong to the whole server and outlive the template. Create it only if it does not exist: DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN CREATE ROLE "app"; END IF; END $$; or drop the existing one: DROP ROLE "app"`,
  ],
  [
    'database',
    'CREATE DATABASE analytics',
    'DROP DATABASE analytics',
    'It belongs to the whole server and outlives the template. Drop it before it is created: DROP DATABASE IF EXISTS "analytics" WITH (FORCE)',
  ],
])(
  'an edited migration that creates a %s fails with a remedy on an external server',
  async ([, make, drop, remedy]) => {
    const run = await watch({ provider: 'external', external: servers.external }, `${make};`)
    onTestFinished(() => withPostgres(servers.postgres, async (client) => void (await client.query(drop))))
    await run.lease()
    await run.edit(`CREATE TABLE two ();\n${make};`)
    await expect(run.lease()).rejects.toMatchObject({
      code: 'INFRA_SEED_FAILED',
      message: expect.stringMatching(/^Cannot load 1\.sql:2: (?:role|database) "\w+" already exists\n/) as string,
      remedy,
    })
    // Correcting it is enough.
    await run.edit(`CREATE TABLE two ();`)
    expect(await valuesOf(await run.lease(), TABLES)).toEqual(['two'])
  },
)

test('a function that creates an existing role fails with a remedy', async () => {
  const run = await watch(
    {
      provider: 'external',
      external: servers.external,
      postgres: { seeds: ({ pool }: SeedContext) => pool.query('CREATE ROLE seeded') },
    },
    'CREATE TABLE one ()',
  )
  onTestFinished(() => withPostgres(servers.postgres, async (client) => void (await client.query('DROP ROLE seeded'))))
  await run.edit('CREATE TABLE two ()')
  await expect(run.lease()).rejects.toThrow(
    /^Cannot fill the template: seeds failed: role "seeded" already exists\n.*IF NOT EXISTS/,
  )
})

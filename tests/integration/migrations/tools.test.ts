import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { drizzle, knex, kysely, nodePgMigrate, sequelize, typeorm } from '../../../src/migrations.ts'
import type { SeedStep } from '../../../src/config/infra-options.ts'
import { catchInfraError } from '../../unit/support/catch-infra-error.ts'
import { buildTemplate, createDatabase, planTemplate, readTables } from './build-template.ts'

interface Tool {
  /** Two migrations that make `authors` and `books`. */
  readonly working: SeedStep
  /** The tool's own tables. */
  readonly tables: readonly string[]
  /** Alters a table that does not exist. */
  readonly broken: SeedStep
  /** The first line of its failure. */
  readonly problem: string
  /** The tool's output about it, in this order. */
  readonly output: readonly RegExp[]
}

const dataSource = 'src/data-source.ts'

const TOOLS: Record<string, Tool> = {
  knex: {
    working: knex({ cwd: 'knex' }),
    tables: ['knex_migrations', 'knex_migrations_lock'],
    broken: knex({ cwd: 'knex', folder: 'broken' }),
    problem: 'Cannot fill the template: knex migrate:latest in knex exited with code 1',
    output: [/^Using environment: test$/m, /^about to break$/m, /^migration failed .*"nowhere" does not exist$/m],
  },
  kysely: {
    working: kysely({ cwd: 'kysely' }),
    tables: ['kysely_migration', 'kysely_migration_lock'],
    broken: kysely({ cwd: 'kysely', folder: 'broken' }),
    problem: 'Cannot fill the template: kysely in kysely exited with code 1',
    output: [/^about to break$/m, /^Error: migration "20260103_broken" failed$/m, /error: relation "nowhere" does not/],
  },
  'node-pg-migrate': {
    working: nodePgMigrate({ cwd: 'node-pg-migrate' }),
    tables: ['pgmigrations'],
    broken: nodePgMigrate({ cwd: 'node-pg-migrate', folder: 'broken' }),
    problem:
      'Cannot fill the template: node-pg-migrate up --migrations-dir broken in node-pg-migrate exited with code 1',
    output: [/^> Migrating files:$/m, /^Error executing:$/m, /^error: relation "nowhere" does not exist$/m],
  },
  sequelize: {
    working: sequelize({ cwd: 'sequelize' }),
    tables: ['SequelizeMeta'],
    broken: sequelize({ cwd: 'sequelize', folder: 'broken' }),
    problem:
      'Cannot fill the template: sequelize-cli db:migrate --migrations-path broken in sequelize exited with code 1',
    output: [/^== 20260103-broken: migrating =+$/m, /^ERROR: relation "nowhere" does not exist$/m],
  },
  typeorm: {
    working: typeorm({ cwd: 'typeorm', dataSource, folder: 'src/migrations' }),
    tables: ['migrations'],
    broken: typeorm({ cwd: 'typeorm', dataSource, folder: 'src/broken', env: { MIGRATIONS: 'broken' } }),
    problem: 'Cannot fill the template: typeorm migration:run -d src/data-source.ts in typeorm exited with code 1',
    output: [/^query failed: ALTER TABLE nowhere/m, /^Error during migration run:$/m, /^QueryFailedError: relation/m],
  },
}

const cases = Object.entries(TOOLS).map(([name, tool]) => ({ name, ...tool }))

test.for(cases)('$name runs the migrations of a project', async ({ working, tables }) => {
  const client = await buildTemplate(working)
  expect(await readTables(client)).toEqual({
    authors: ['id', 'name'],
    books: ['id', 'author_id', 'title'],
    ...Object.fromEntries(tables.map((table) => [table, expect.any(Array)])),
  })
  await client.query("INSERT INTO authors (name) VALUES ('Ada')")
  await expect(client.query("INSERT INTO books (author_id, title) VALUES (2, 'Notes')")).rejects.toThrow('foreign key')
})

test.for(cases)('$name shows all its output when a migration fails', async ({ broken, problem, output }) => {
  const address = await createDatabase()
  const plan = await planTemplate(broken)
  const { code, message, service } = await catchInfraError(() => plan.build(address))
  const [first, command, ...rest] = message.split('\n')
  expect({ code, service, first }).toEqual({ code: 'INFRA_SEED_FAILED', service: 'postgres', first: problem })
  expect(command).toMatch(new RegExp(`^\\$ \\S*${basename(process.execPath)} `))
  expect(rest.at(-1)).toBe('Correct the error in its output and run the tests again')
  const places = output.map((pattern) => rest.join('\n').search(pattern))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((left, right) => left - right))
})

test('drizzle() runs the migrations of a project', async () => {
  const client = await buildTemplate(drizzle({ folder: 'drizzle/drizzle', schema: 'app', table: 'migrated' }))
  expect(await readTables(client)).toEqual({
    authors: ['id', 'name'],
    books: ['id', 'author_id', 'title'],
    migrated: ['id', 'hash', 'created_at'],
  })
  expect((await client.query('SELECT FROM app.migrated')).rowCount).toBe(2)
})

test('drizzle() names the line of a statement that fails', async () => {
  await expect(buildTemplate(drizzle({ folder: 'drizzle/broken' }))).rejects.toThrow(
    'Cannot load drizzle/broken/0001_broken.sql:4: type "dat" does not exist\nERROR, SQLSTATE 42704\n',
  )
})

test('drizzle() explains a folder that drizzle-kit did not write', async () => {
  await expect(buildTemplate(drizzle({ folder: 'sql' }))).rejects.toThrow(
    'Cannot migrate with drizzle: Can\'t find meta/_journal.json file\nCorrect the migrations in "sql"',
  )
})

test("a migration can read the database's variables when it is imported", async () => {
  const client = await buildTemplate(kysely({ cwd: 'kysely' }))
  const { rows } = await client.query("SELECT obj_description('authors'::regclass) = current_database() AS is_own")
  expect(rows).toEqual([{ is_own: true }])
})

test('kysely() passes options to its Migrator', async () => {
  const client = await buildTemplate(kysely({ cwd: 'kysely', migrator: { migrationTableName: 'migrated' } }))
  expect(Object.keys(await readTables(client))).toContain('migrated')
})

import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Pool } from 'pg'
import { InfraError, messageOf } from '../errors.ts'
import { remedyForTaken } from '../seeds/already-there.ts'
import { describeSqlFailure } from '../seeds/describe-sql-failure.ts'
import { readSeedFile } from '../seeds/seed-file.ts'
import type { SeedStep } from '../config/infra-options.ts'
import { assertArguments } from './assert-arguments.ts'
import { assertExists } from './run-tool.ts'
import { filesFrom, manifestOf } from './tool-options.ts'
import { assertInstalled, requireFrom } from './user-package.ts'

/** Options of `drizzle()`. */
export interface DrizzleOptions {
  /**
   * The folder of the migrations that drizzle-kit generated (`out`).
   *
   * @default 'drizzle'
   */
  readonly folder?: string
  /**
   * The schema of Drizzle's own table (`migrations.schema`).
   *
   * @default 'drizzle'
   */
  readonly schema?: string
  /**
   * Drizzle's own table (`migrations.table`).
   *
   * @default '__drizzle_migrations'
   */
  readonly table?: string
}

interface Driver {
  drizzle(options: { client: Pool }): unknown
}

interface Migrator {
  migrate(db: unknown, config: Readonly<Record<string, unknown>>): Promise<void>
}

/**
 * Runs Drizzle's migrations with `migrate()` of the project's `drizzle-orm`. The project also needs `pg`, even if its
 * application uses another driver.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with file, line and PostgreSQL's message
 * @example
 * defineInfra({ postgres: { migrations: drizzle({ folder: 'drizzle' }) } })
 */
export function drizzle(options: DrizzleOptions = {}): SeedStep {
  assertArguments('drizzle', options)
  const { folder = 'drizzle', schema, table } = options
  const config = { migrationsSchema: schema, migrationsTable: table }
  const name = ['drizzle', schema, table].filter((word) => word !== undefined).join(' ')
  return {
    name,
    key: JSON.stringify(['drizzle', folder, schema, table]),
    files: filesFrom(folder, '.', manifestOf('drizzle-orm')),
    async run({ pool, root }) {
      const migrationsFolder = resolve(root, folder)
      assertExists(migrationsFolder, { name, path: folder, root })
      assertInstalled(['drizzle-orm', 'pg'], migrationsFolder, 'drizzle')
      const driver = requireFrom(migrationsFolder, 'drizzle-orm/node-postgres') as Driver
      const migrator = requireFrom(migrationsFolder, 'drizzle-orm/node-postgres/migrator') as Migrator
      const db = driver.drizzle({ client: pool })
      await migrator.migrate(db, { ...config, migrationsFolder }).catch(async (error: unknown) => {
        throw (await describeQueryFailure(error, migrationsFolder, root)) ?? describeFailure(error, folder)
      })
    },
  }
}

/** Creates the error for a failed statement that is in one of the files; resolves to undefined for other failures. */
async function describeQueryFailure(error: unknown, folder: string, root: string): Promise<InfraError | undefined> {
  const { query, cause } = error as { query?: unknown; cause?: unknown }
  if (typeof query !== 'string' || query.trim() === '') {
    return undefined
  }
  const names = await readdir(folder, { recursive: true })
  for (const name of names.filter((entry) => entry.endsWith('.sql'))) {
    const file = await readSeedFile(join(folder, name), { root, service: 'postgres' })
    const offset = file.text.indexOf(query)
    if (offset !== -1) {
      return describeSqlFailure(cause, { text: query, offset, line: 0 }, file)
    }
  }
  return undefined
}

function describeFailure(error: unknown, folder: string): InfraError {
  const cause = error instanceof Error && error.cause !== undefined ? `\n${messageOf(error.cause)}` : ''
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot migrate with drizzle: ${messageOf(error)}${cause}`,
    remedy: remedyForTaken(cause) ?? `Correct the migrations in "${folder}" and run the tests again`,
    service: 'postgres',
    cause: error,
  })
}

import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Pool } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { withPostgresPool } from '../services/postgres.ts'
import { requireFrom } from './user-package.ts'

export interface KyselyMigration {
  readonly folder: string
  /** Options of Kysely's `Migrator`. */
  readonly migrator: Readonly<Record<string, unknown>>
}

/** The exports of Kysely that are used here. */
interface Kysely {
  Kysely: new (options: { dialect: object }) => { destroy(): Promise<void> }
  PostgresDialect: new (options: { pool: Pool }) => object
}

interface Migrations {
  FileMigrationProvider: new (options: object) => object
  Migrator: new (options: object) => { migrateToLatest(): Promise<{ error?: unknown; results?: readonly Result[] }> }
}

interface Result {
  readonly migrationName: string
  readonly status: 'Success' | 'Error' | 'NotExecuted'
}

/**
 * Runs all migrations of a folder. It is called in a separate process.
 *
 * @public Imported by the code that `kysely.ts` passes to Node.
 */
export async function migrateWithKysely(address: PostgresAddress, { folder, migrator }: KyselyMigration) {
  const { Kysely, PostgresDialect } = requireFrom(folder, 'kysely') as Kysely
  const { FileMigrationProvider, Migrator } = requireMigrations(folder)
  const provider = new FileMigrationProvider({ fs, path, migrationFolder: folder, import: importFile })
  const { error, results = [] } = await withPostgresPool(address, async (pool) => {
    const db = new Kysely({ dialect: new PostgresDialect({ pool }) })
    return new Migrator({ ...migrator, db, provider }).migrateToLatest()
  })
  const failed = results.find(({ status }) => status === 'Error')
  if (error !== undefined) {
    throw failed ? new Error(`migration "${failed.migrationName}" failed`, { cause: error }) : error
  }
}

/** Loads the classes for migrations. Older versions of Kysely export them from the main entry. */
function requireMigrations(folder: string): Migrations {
  try {
    return requireFrom(folder, 'kysely/migration') as Migrations
  } catch {
    return requireFrom(folder, 'kysely') as Migrations
  }
}

// Imports a migration for Kysely, as an import on Windows needs a file URL instead of a path. Older versions of Kysely
// ignore this option.
function importFile(file: string): Promise<unknown> {
  return import(pathToFileURL(file).href)
}

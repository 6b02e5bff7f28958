import { messageOf } from '../errors.ts'
import { describeSqlFailure } from './describe-sql-failure.ts'
import { createSeedError } from './seed-error.ts'
import { readSeedFile, type SeedFile } from './seed-file.ts'
import { splitSqlStatements } from './sql-statements.ts'

/** The method of a `pg` client that is used here. */
export interface SqlClient {
  query(sql: string): Promise<unknown>
}

const ACTIVE_SQL_TRANSACTION = '25001'

/**
 * Runs SQL files in the given order, statement by statement and without a transaction, as `psql -v ON_ERROR_STOP=1 -f`
 * does. After each file, `DISCARD ALL` resets the session, so that settings, temporary tables and advisory locks do not
 * affect the next file.
 *
 * @throws InfraError `INFRA_SEED_FAILED` at the first statement that fails; earlier statements remain in effect
 */
export async function loadSqlFiles(client: SqlClient, files: readonly string[], root: string): Promise<void> {
  for (const path of files) {
    await loadSqlFile(client, await readSeedFile(path, { root, service: 'postgres' }))
  }
}

/** Runs the text of one file as {@link loadSqlFiles} does. */
export async function loadSqlFile(client: SqlClient, file: SeedFile): Promise<void> {
  for (const statement of splitSqlStatements(file.text, file.name)) {
    await client.query(statement.text).catch((error: unknown) => {
      throw describeSqlFailure(error, statement, file)
    })
  }
  await discardSession(client, file)
}

// Resets the session after a file. Otherwise, the cleared search_path of a pg_dump or a forgotten COMMIT would affect
// the next files.
export async function discardSession(client: SqlClient, { name }: SeedFile): Promise<void> {
  await client.query('DISCARD ALL').catch((cause: unknown) => {
    const isOpen = (cause as { code?: unknown }).code === ACTIVE_SQL_TRANSACTION
    throw createSeedError({
      file: name,
      reason: isOpen ? 'the file does not end its transaction' : messageOf(cause),
      remedy: isOpen ? 'End the file with COMMIT' : 'Look in the log of the PostgreSQL server for the reason',
      service: 'postgres',
      cause,
    })
  })
}

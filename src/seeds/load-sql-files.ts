import { messageOf } from '../errors.ts'
import { describeSqlFailure } from './describe-sql-failure.ts'
import { createSeedError } from './seed-error.ts'
import { readSeedFile, type SeedFile } from './seed-file.ts'
import { splitSqlStatements } from './sql-statements.ts'

/** As much of a `pg` client as loading needs. */
export interface SqlClient {
  query(sql: string): Promise<unknown>
}

const ACTIVE_SQL_TRANSACTION = '25001'

/**
 * Runs SQL files in the order given, statement by statement, each file in a session state of its own and without a
 * transaction around it, as `psql -v ON_ERROR_STOP=1 -f` does. The client's session is discarded after each file
 * (`DISCARD ALL`): settings, temporary tables and advisory locks do not outlive it.
 *
 * @throws InfraError `INFRA_SEED_FAILED` at the first statement that fails; what ran before it stays.
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

// A pg_dump empties search_path and a forgotten COMMIT swallows every later file: neither may reach the next one.
export async function discardSession(client: SqlClient, { name }: SeedFile): Promise<void> {
  await client.query('DISCARD ALL').catch((cause: unknown) => {
    const isOpen = (cause as { code?: unknown }).code === ACTIVE_SQL_TRANSACTION
    throw createSeedError({
      file: name,
      reason: isOpen ? 'the file leaves a transaction open' : messageOf(cause),
      remedy: isOpen ? 'End the file with COMMIT' : 'Look in the log of the PostgreSQL server for the reason',
      service: 'postgres',
      cause,
    })
  })
}

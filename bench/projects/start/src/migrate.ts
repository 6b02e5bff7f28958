import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'

/** The migrations in order, as text. */
export function readMigrations(): string[] {
  const names = readdirSync('db/migrations').toSorted()
  return names.map((name) => readFileSync(`db/migrations/${name}`, 'utf8'))
}

/** The steps of a hand-written global setup. */
export async function migrate(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  for (const migration of readMigrations()) {
    await client.query(migration)
  }
  await client.end()
}

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'

/** File by file, as a hand-written setup does it. */
export async function migrate(connectionString: string, folder: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  for (const name of readdirSync(folder).toSorted()) {
    await client.query(readFileSync(join(folder, name), 'utf8'))
  }
  await client.end()
}

import { migrate } from '../../support/migrate.ts'
import type { ByHand } from './by-hand.ts'
import { openClient } from './isolation.ts'

const TABLES = "SELECT string_agg(format('%I', tablename), ', ') AS tables FROM pg_tables WHERE schemaname = 'public'"

/** All tests use one database and one connection, and empty all tables before they begin; rows of migrations go too. */
export const truncate: ByHand = {
  name: 'TRUNCATE … RESTART IDENTITY CASCADE',
  async open(server, migrations) {
    await migrate(server.getConnectionUri(), migrations)
    const client = await openClient(server.getConnectionUri())
    const { rows } = await client.query<{ tables: string }>(TABLES)
    return {
      async acquire() {
        await client.query(`TRUNCATE ${rows[0]?.tables} RESTART IDENTITY CASCADE`)
      },
      connect: () => Promise.resolve(client),
      release: () => Promise.resolve(),
      close: () => client.end(),
    }
  },
}

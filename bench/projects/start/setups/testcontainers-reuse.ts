import { PostgreSqlContainer } from '@testcontainers/postgresql'
import { RedisContainer } from '@testcontainers/redis'
import pg from 'pg'
import { labels } from '../src/labels.ts'
import { migrate } from '../src/migrate.ts'

export default async function setup(): Promise<void> {
  const [postgres, redis] = await Promise.all([
    new PostgreSqlContainer('postgres:18-alpine').withLabels(labels).withReuse().start(),
    new RedisContainer('redis:8-alpine').withLabels(labels).withReuse().start(),
  ])
  process.env.DATABASE_URL = postgres.getConnectionUri()
  process.env.REDIS_URL = redis.getConnectionUrl()
  await empty(process.env.DATABASE_URL)
  await migrate(process.env.DATABASE_URL)
}

/** The last run's tables are still there. */
async function empty(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  await client.end()
}

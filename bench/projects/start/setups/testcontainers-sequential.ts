import { PostgreSqlContainer } from '@testcontainers/postgresql'
import { RedisContainer } from '@testcontainers/redis'
import { labels } from '../src/labels.ts'
import { migrate } from '../src/migrate.ts'

export default async function setup(): Promise<() => Promise<void>> {
  const postgres = await new PostgreSqlContainer('postgres:18-alpine').withLabels(labels).start()
  const redis = await new RedisContainer('redis:8-alpine').withLabels(labels).start()
  process.env.DATABASE_URL = postgres.getConnectionUri()
  process.env.REDIS_URL = redis.getConnectionUrl()
  await migrate(process.env.DATABASE_URL)
  return async () => {
    await postgres.stop()
    await redis.stop()
  }
}

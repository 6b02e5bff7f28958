import type { PGlite } from '@electric-sql/pglite'
import { Redis } from 'ioredis'
import pg from 'pg'

declare global {
  var pglite: PGlite | undefined
}

const COUNT = "SELECT count(*)::integer AS count FROM pg_tables WHERE schemaname = 'public'"

/** Asks whichever database there is; none has no tables. */
export async function countTables(): Promise<number | undefined> {
  if (globalThis.pglite) {
    return (await globalThis.pglite.query<{ count: number }>(COUNT)).rows[0]?.count
  }
  if (!process.env.DATABASE_URL) {
    return 0
  }
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
  await client.connect()
  const { rows } = await client.query(COUNT)
  await client.end()
  return rows[0]?.count
}

export async function ping(): Promise<string | undefined> {
  if (!process.env.REDIS_URL) {
    return undefined
  }
  const redis = new Redis(process.env.REDIS_URL)
  const answer = await redis.ping()
  redis.disconnect()
  return answer
}

import { Redis } from 'ioredis'
import pg from 'pg'

// An application as it always was: it reads its environment and knows nothing of tests.
export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
export const redis = new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379')

/** Counts a visit in PostgreSQL and keeps the newest count at hand in Redis. */
export async function visit(page: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `INSERT INTO visits (page, count) VALUES ($1, 1)
     ON CONFLICT (page) DO UPDATE SET count = visits.count + 1 RETURNING count`,
    [page],
  )
  const count = rows[0]?.count ?? 0
  await redis.set(`visits:${page}`, count)
  return count
}

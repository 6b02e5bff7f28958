import { afterAll, expect, inject, test } from 'vitest'
import { pool, redis, visit } from '../src/visits.ts'

afterAll(async () => {
  await pool.end()
  redis.disconnect()
})

test('visits are counted in PostgreSQL and cached in Redis', async () => {
  await visit('/')
  await visit('/')

  expect((await pool.query('SELECT * FROM visits')).rows).toEqual([{ page: '/', count: 2 }])
  expect(await redis.get('visits:/')).toBe('2')
})

test('the servers are real', async () => {
  const { postgres } = inject('infra')
  const { rows } = await pool.query<{ version: string }>('SELECT version()')
  const server = await redis.info('server')

  console.log(rows[0]?.version)
  console.log(server.split('\r\n').slice(0, 9).join('\n'))
  expect(rows[0]?.version).toContain(`PostgreSQL ${postgres.version}`)
  expect(server).toContain(`redis_version:${inject('infra').redis.version}`)
})

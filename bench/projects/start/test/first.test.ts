import { expect, test } from 'vitest'
import { mark } from '../src/mark.ts'
import { countTables, ping } from '../src/storage.ts'

test('the migrations have run and Redis answers', async () => {
  mark('first test')
  expect(await countTables()).toBe(Number(process.env.BENCH_TABLES))
  expect(await ping()).toBe(process.env.REDIS_URL && 'PONG')
  mark('last test')
})

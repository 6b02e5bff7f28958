import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { findSeedFiles } from '../../src/seeds/find-seed-files.ts'
import { loadRedisFiles } from '../../src/seeds/load-redis-files.ts'
import { loadSqlFiles } from '../../src/seeds/load-sql-files.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

function createRoot(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-seeds-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

/** A client whose unqualified names refer to a schema of this test. */
async function openSchema(): Promise<Client> {
  const schema = `seeds_${randomUUID().replaceAll('-', '')}`
  const connectionString = process.env['DATABASE_URL']
  const client = new Client({ connectionString, options: `-c search_path=${schema}` })
  await client.connect()
  onTestFinished(async () => {
    await client.query(`ROLLBACK; SET client_min_messages = warning; DROP SCHEMA ${schema} CASCADE`)
    await client.end()
  })
  await client.query(`CREATE SCHEMA ${schema}`)
  return client
}

async function loadSql(client: Client, files: Record<string, string>): Promise<void> {
  const root = createRoot(files)
  await loadSqlFiles(client, findSeedFiles('postgres', { root, seeds: ['.'] }), root)
}

async function openRedis(): Promise<{ redis: Redis; prefix: string }> {
  const redis = new Redis(process.env['REDIS_URL'] ?? '')
  const prefix = `seeds:${randomUUID()}:`
  onTestFinished(async () => {
    const keys = await redis.keys(`${prefix}*`)
    await Promise.all(keys.map((key) => redis.del(key)))
    await redis.quit()
  })
  return { redis, prefix }
}

async function loadRedis(redis: Redis, files: Record<string, string>): Promise<void> {
  const root = createRoot(files)
  await loadRedisFiles(redis, findSeedFiles('redis', { root, seeds: ['.'] }), root)
}

test("loadSqlFiles() loads the repository's own fixtures", async () => {
  const client = await openSchema()
  await loadSqlFiles(client, findSeedFiles('postgres', { root: REPOSITORY }), REPOSITORY)
  const { rows } = await client.query('SELECT email, status, total_cents FROM order_totals ORDER BY order_id')
  expect(rows).toEqual([
    { email: 'ada@example.com', status: 'shipped', total_cents: '2310' },
    { email: 'ada@example.com', status: 'open', total_cents: '3900' },
    { email: 'grace@example.com', status: 'cancelled', total_cents: '0' },
  ])
})

test('loadSqlFiles() runs statements that cannot run in a transaction', async () => {
  const client = await openSchema()
  await loadSql(client, {
    '1.sql': 'CREATE TABLE t (id int); CREATE INDEX CONCURRENTLY i ON t (id); VACUUM t;',
    '2.sql': "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; SELECT 'b'::e;",
  })
  expect((await client.query("SELECT 'i'::regclass, 'e'::regtype")).rowCount).toBe(1)
})

test('loadSqlFiles() names the failing place and keeps earlier statements', async () => {
  const client = await openSchema()
  const loading = loadSql(client, {
    'seeds/10_users.sql': 'CREATE TABLE users (id int PRIMARY KEY);\n\nINSERT INTO users VALUES (1);\n',
    'seeds/20_users.sql': '-- again\nINSERT INTO users\nVALUES (1);\n',
  })
  await expect(loading).rejects.toMatchObject({
    code: 'INFRA_SEED_FAILED',
    service: 'postgres',
    message: [
      'Cannot load seeds/20_users.sql:2: duplicate key value violates unique constraint "users_pkey"',
      'ERROR, SQLSTATE 23505',
      'Detail: Key (id)=(1) already exists.',
      '  2 | INSERT INTO users',
      'Correct seeds/20_users.sql and run the tests again',
    ].join('\n'),
  })
  expect((await client.query('SELECT id FROM users')).rows).toEqual([{ id: 1 }])
})

test('loadSqlFiles() points at the position that PostgreSQL gives', async () => {
  const client = await openSchema()
  await expect(loadSql(client, { '1.sql': "SELECT 1;\nSELECT '😀',\n  nothing\nFROM nowhere;\n" })).rejects.toThrow(
    [
      'Cannot load 1.sql:4: relation "nowhere" does not exist',
      'ERROR, SQLSTATE 42P01',
      '  4 | FROM nowhere;',
      '           ^',
      'Correct 1.sql, or give it a name that sorts after the file that creates what is missing',
    ].join('\n'),
  )
})

test.each(["SELECT 1;\nSELECT 'a;", 'SELECT 1;\n/* a;', 'SELECT 1;\nSELECT (1;', 'SELECT 1;\nDO $$ BEGIN'])(
  'loadSqlFiles() finds the line of an unclosed construct in %j',
  async (sql) => {
    await expect(loadSql(await openSchema(), { '1.sql': sql })).rejects.toThrow('Cannot load 1.sql:2: ')
  },
)

// A plain pg_dump starts by emptying search_path.
test('loadSqlFiles() does not carry a setting from one file to the next', async () => {
  const client = await openSchema()
  await loadSql(client, {
    '1.sql': "CREATE TABLE t (id int); SELECT pg_catalog.set_config('search_path', '', false);",
    '2.sql': 'INSERT INTO t VALUES (1);',
  })
  expect((await client.query('SELECT id FROM t')).rows).toEqual([{ id: 1 }])
})

test('loadSqlFiles() refuses a file that leaves a transaction open', async () => {
  const client = await openSchema()
  await expect(loadSql(client, { '1.sql': 'BEGIN; CREATE TABLE t (id int);' })).rejects.toMatchObject({
    code: 'INFRA_SEED_FAILED',
    message: 'Cannot load 1.sql: the file does not end its transaction\nEnd the file with COMMIT',
  })
})

test('loadSqlFiles() points to the log when the server closes the connection', async () => {
  const client = new Client({ connectionString: process.env['DATABASE_URL'] })
  client.on('error', () => undefined)
  await client.connect()
  await expect(loadSql(client, { '1.sql': 'SELECT pg_terminate_backend(pg_backend_pid())' })).rejects.toThrow(
    [
      'Cannot load 1.sql:1: terminating connection due to administrator command',
      'FATAL, SQLSTATE 57P01',
      '  1 | SELECT pg_terminate_backend(pg_backend_pid())',
      'Look in the log of the PostgreSQL server for the reason',
    ].join('\n'),
  )
})

test("loadRedisFiles() loads the repository's own fixtures", async () => {
  const { redis, prefix } = await openRedis()
  const prefixed = redis.duplicate({ keyPrefix: prefix })
  onTestFinished(async () => void (await prefixed.quit()))
  await loadRedisFiles(prefixed, findSeedFiles('redis', { root: REPOSITORY }), REPOSITORY)
  expect(await redis.hgetall(`${prefix}cart:ada@example.com`)).toEqual({ 'Notebook; ruled': '2', 'Slide rule': '1' })
  expect(await redis.get(`${prefix}cart:ada@example.com:note`)).toBe('Please wrap it.\nThank you!')
})

test("loadRedisFiles() stores the files' values byte for byte", async () => {
  const { redis, prefix } = await openRedis()
  await loadRedis(redis, {
    '1.redis': `# first\nSET ${prefix}a "1\\n2"\nHSET '${prefix}h' "x y" 'it\\'s'\n`,
    '2.redis': `append ${prefix}a "\\x00\\xff"\n`,
  })
  expect(await redis.getBuffer(`${prefix}a`)).toEqual(Buffer.from('1\n2\0\xff', 'latin1'))
  expect(await redis.hgetall(`${prefix}h`)).toEqual({ 'x y': "it's" })
})

test('loadRedisFiles() stops at the first command that Redis refuses', async () => {
  const { redis, prefix } = await openRedis()
  const text = `SET ${prefix}a 1\n\nhset ${prefix}a f 1\nSET ${prefix}b 1\n`
  await expect(loadRedis(redis, { 'db/1.redis': text })).rejects.toMatchObject({
    code: 'INFRA_SEED_FAILED',
    service: 'redis',
    message: [
      'Cannot load db/1.redis:3: HSET: WRONGTYPE Operation against a key holding the wrong kind of value',
      'Correct the command in db/1.redis and run the tests again',
    ].join('\n'),
  })
  expect(await redis.exists(`${prefix}a`, `${prefix}b`)).toBe(1)
})

// EXEC itself succeeds then: the error is inside its reply.
test('loadRedisFiles() notices a command that fails inside a transaction', async () => {
  const { redis, prefix } = await openRedis()
  const text = `MULTI\nSET ${prefix}a 1\nHSET ${prefix}a f 1\nEXEC\n`
  await expect(loadRedis(redis, { '1.redis': text })).rejects.toThrow('Cannot load 1.redis:4: EXEC: WRONGTYPE')
})

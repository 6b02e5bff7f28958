import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { settleTestEnv } from '../../../src/vitest/test-env.ts'

const leased = {
  POSTGRES_USER: 'postgres',
  POSTGRES_DB: 'app',
  POSTGRES_PORT: '32768',
  DATABASE_URL: 'postgres://postgres:pw@localhost:32768/app',
  PGPASSWORD: 'pw',
}

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitest-infra-test-env-'))
  onTestFinished(() => rm(folder, { recursive: true }))
})

function settle(testEnv: Record<string, string | undefined>, inherited = {}) {
  return settleTestEnv(testEnv, { leased, inherited, folders: ['/nowhere', folder] })
}

test('settleTestEnv() keeps variables that no lease sets, without a report', () => {
  const testEnv = { NODE_ROLE: 'test', POSTGRES_USER: 'postgres', GONE: undefined }
  expect(settle(testEnv)).toEqual({ kept: { NODE_ROLE: 'test', POSTGRES_USER: 'postgres' }, lines: [] })
})

test.for([
  ['.env', 'DATABASE_URL=postgres://me:pw@localhost/dev'],
  ['.env.local', 'export DATABASE_URL="postgres://me:pw@localhost/dev"'],
  ['.env.test', 'PW=pw\nDATABASE_URL=postgres://me:$PW@localhost/dev'],
  ['.env.port', 'POSTGRES_PORT=pw\nDATABASE_URL=postgres://me:${POSTGRES_PORT}@localhost/dev'],
  ['.env.production.local', 'DATABASE_URL=postgres://me:${PW:-pw}@localhost/dev'],
] as const)('settleTestEnv() lets the lease override a variable of %s', async ([file, text]) => {
  await writeFile(join(folder, file), text)
  // As with a variable that the run itself has set in its process.
  const inherited = { POSTGRES_PORT: undefined }
  expect(settle({ DATABASE_URL: 'postgres://me:pw@localhost/dev', OTHER: 'x' }, inherited)).toEqual({
    kept: { OTHER: 'x' },
    lines: [
      'test.env repeats DATABASE_URL from the environment or an env file: tests get the values of their lease instead',
    ],
  })
})

test('settleTestEnv() lets the lease override a variable of the process', () => {
  const url = 'postgres://localhost/dev'
  expect(settle({ DATABASE_URL: url }, { DATABASE_URL: url }).kept).toEqual({})
})

// It has the name of the main database, which all files would share.
test('settleTestEnv() lets the lease override a database name that is equal by chance', async () => {
  await writeFile(join(folder, '.env'), 'POSTGRES_USER=postgres\nPOSTGRES_DB=app\n')
  expect(settle({ POSTGRES_USER: 'postgres', POSTGRES_DB: 'app' })).toEqual({
    kept: {},
    lines: [
      'test.env repeats POSTGRES_DB from the environment or an env file: tests get the values of their lease instead',
    ],
  })
})

test('settleTestEnv() names at most six variables', async () => {
  const names = Array.from({ length: 8 }, (_, index) => `V${index}`)
  const settled = settleTestEnv(Object.fromEntries(names.map((name) => [name, 'dev'])), {
    leased: Object.fromEntries(names.map((name) => [name, 'leased'])),
    inherited: Object.fromEntries(names.map((name) => [name, 'dev'])),
    folders: [],
  })
  expect(settled.lines[0]).toMatch(/^test\.env repeats V0, V1, V2, V3, V4, V5 and 2 more from /)
})

test('settleTestEnv() keeps a value written by hand and reports its target without passwords', async () => {
  await writeFile(join(folder, '.env'), 'DATABASE_URL=postgres://localhost/dev')
  await writeFile(join(folder, '.env.example'), 'DATABASE_URL=postgres://me:secret@db.example/other')
  const testEnv = { DATABASE_URL: 'postgres://me:secret@db.example/other', PGPASSWORD: 'secret', DB_NAME: 'x' }
  expect(settle(testEnv)).toEqual({
    kept: testEnv,
    lines: [
      'test.env sets DATABASE_URL to postgres://me:***@db.example/other: tests use that instead of their lease; remove it from test.env if they should use the lease',
      'test.env sets PGPASSWORD to ***: tests use that instead of their lease; remove it from test.env if they should use the lease',
    ],
  })
})

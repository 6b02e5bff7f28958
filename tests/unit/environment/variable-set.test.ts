import pg from 'pg'
import { expect, test } from 'vitest'
import {
  BASE_VARIABLES,
  inSchema,
  libpqVariables,
  type PostgresAddress,
  postgresUrl,
  postgresVariables,
  redisUrl,
  redisVariables,
} from '../../../src/environment/variable-set.ts'

const address: PostgresAddress = {
  host: 'localhost',
  port: 49_153,
  user: 'shop',
  password: 'secret',
  database: 'orders',
}

test('BASE_VARIABLES contains the variables of .env', () => {
  expect(BASE_VARIABLES).toEqual({
    POSTGRES_USER: 'postgres',
    POSTGRES_PASSWORD: 'postgres',
    POSTGRES_DB: 'app',
    POSTGRES_PORT: '5432',
    REDIS_PORT: '6379',
  })
})

test('postgresVariables() derives every variable from the address', () => {
  expect(postgresVariables(address)).toEqual({
    POSTGRES_USER: 'shop',
    POSTGRES_PASSWORD: 'secret',
    POSTGRES_DB: 'orders',
    POSTGRES_PORT: '49153',
    DB_HOST: 'localhost',
    DB_PORT: '49153',
    DB_USER: 'shop',
    DB_PASSWORD: 'secret',
    DB_NAME: 'orders',
    DATABASE_URL: 'postgres://shop:secret@localhost:49153/orders',
  })
})

test("inSchema() sets the schema in the URL and PGOPTIONS, before the URL's own search path", () => {
  const plain = inSchema(address, 'vitest_infra_1')
  expect(postgresUrl(plain)).toBe(
    'postgres://shop:secret@localhost:49153/orders?options=-c%20search_path%3Dvitest_infra_1',
  )
  expect(postgresVariables(plain)).toMatchObject({ PGOPTIONS: '-c search_path=vitest_infra_1' })
  const parameters = 'sslmode=require&options=-c%20search_path%3Dpublic%20-c%20geqo%3Doff'
  expect(new URLSearchParams(inSchema({ ...address, parameters }, 'one').parameters)).toEqual(
    new URLSearchParams({
      sslmode: 'require',
      options: '-c search_path=public -c geqo=off -c search_path=one,public',
    }),
  )
})

test('libpqVariables() names the variables that libpq reads', () => {
  expect(libpqVariables(address)).toEqual({
    PGHOST: 'localhost',
    PGPORT: '49153',
    PGUSER: 'shop',
    PGPASSWORD: 'secret',
    PGDATABASE: 'orders',
  })
})

test('redisVariables() derives every variable from the address', () => {
  expect(redisVariables({ host: 'localhost', port: 49_154 })).toEqual({
    REDIS_HOST: 'localhost',
    REDIS_PORT: '49154',
    REDIS_URL: 'redis://localhost:49154',
  })
})

test('redisVariables() has the logical database in the URL and in a variable', () => {
  expect(redisVariables({ host: 'localhost', port: 49_154, database: 7 })).toEqual({
    REDIS_HOST: 'localhost',
    REDIS_PORT: '49154',
    REDIS_DB: '7',
    REDIS_URL: 'redis://localhost:49154/7',
  })
})

const oddTexts = [
  'p@ss:word/with?every#thing',
  'a b',
  ' leading and trailing ',
  '%40',
  '100%',
  'ü€😀',
  `quotes'"\\`,
  '[::1]',
  'a+b&c=d;e,f$g',
  "!*'()",
]

test.for(oddTexts)('postgresUrl() keeps %j as a user, a password and a database', (text) => {
  const url = new URL(postgresUrl({ ...address, user: text, password: text, database: text }))
  const parts = [url.username, url.password, url.pathname.slice(1)].map(decodeURIComponent)
  expect(parts).toEqual([text, text, text])
  expect([url.hostname, url.port, url.search, url.hash]).toEqual(['localhost', '49153', '', ''])
})

test.for(oddTexts)('postgresUrl() passes the user and password %j to pg unchanged', (text) => {
  const { host, port, user, password, database } = new pg.Client(
    postgresUrl({ ...address, user: text, password: text }),
  )
  expect({ host, port, user, password, database }).toEqual({ ...address, user: text, password: text })
})

// pg reads the path with decodeURI(), which leaves %2F, %3F, %23, %40, %3A, … as they are; "/", "?" and "#" must be
// encoded all the same, so pg cannot connect to a database with one of these.
test.for(oddTexts.filter((text) => !/[/?#]/.test(text)))(
  'postgresUrl() passes the database %j to pg unchanged',
  (text) => {
    expect(new pg.Client(postgresUrl({ ...address, database: text })).database).toBe(text)
  },
)

test.for(['::1', 'fe80::1', '2001:db8::5'])('postgresUrl() and redisUrl() accept the IPv6 address %s', (host) => {
  expect(new URL(postgresUrl({ ...address, host })).hostname).toBe(`[${host}]`)
  expect(new URL(redisUrl({ host, port: 6379 })).hostname).toBe(`[${host}]`)
  expect(new URL(redisUrl({ host, port: 6379 })).port).toBe('6379')
})

import { expect, test } from 'vitest'
import type { ExternalOptions, InfraOptions } from '../../../src/config/infra-options.ts'
import { type ResolvedSpec, resolveSpec } from '../../../src/config/resolve-spec.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

type Variables = Readonly<Record<string, string>>

const HERE = { DATABASE_URL: 'postgres://localhost', REDIS_URL: 'redis://localhost' }

function resolve(variables: Variables, options: InfraOptions = {}, envFile = ''): ResolvedSpec {
  const environment = { process: variables, envFile }
  return resolveSpec({ provider: 'external', ...options }, { root: '/project', source: 'the test', environment })
}

function placesOf(variables: Variables, external: ExternalOptions = {}) {
  const { postgres, redis } = resolve(variables, { external })
  const { user, password, server } = postgres ?? {}
  return { postgres: { user, password, ...server }, redis: redis?.server }
}

function refusalOf(variables: Variables, options: InfraOptions = {}) {
  return catchInfraError(() => resolve({ ...HERE, ...variables }, options))
}

test('resolveSpec() takes external servers from their URLs', () => {
  const variables = {
    DATABASE_URL: 'postgresql://Ada%20L:p%40ss@127.0.0.1:5433/shop?sslmode=require&schema=public',
    REDIS_URL: 'rediss://ada:s%3Ecret@[::1]:6380/5',
  }
  expect(placesOf(variables)).toEqual({
    postgres: {
      host: '127.0.0.1',
      port: 5433,
      user: 'Ada L',
      password: 'p@ss',
      parameters: 'sslmode=require&schema=public',
    },
    redis: { host: '::1', port: 6380, user: 'ada', password: 's>cret', tls: true },
  })
})

test('resolveSpec() takes external servers from separate variables without a URL', () => {
  const variables = {
    DB_HOST: 'localhost',
    DB_PORT: '5433',
    DB_USER: 'ada',
    DB_PASSWORD: 'pw',
    REDIS_HOST: 'localhost',
  }
  expect(placesOf(variables)).toEqual({
    postgres: { host: 'localhost', port: 5433, user: 'ada', password: 'pw' },
    redis: { host: 'localhost', port: 6379 },
  })
  expect(placesOf({ ...variables, REDIS_PORT: '6380', REDIS_PASSWORD: 'pw' }).redis).toEqual({
    host: 'localhost',
    port: 6380,
    password: 'pw',
  })
})

test('resolveSpec() prefers options to the environment and has defaults', () => {
  expect(placesOf(HERE, { postgres: 'postgres://ada@localhost:5434', redis: 'redis://:pw@localhost' })).toEqual({
    postgres: { host: 'localhost', port: 5434, user: 'ada', password: 'postgres' },
    redis: { host: 'localhost', port: 6379, password: 'pw' },
  })
})

test('resolveSpec() does not use the database that a URL names', () => {
  expect(resolve({ ...HERE, DATABASE_URL: 'postgres://localhost/shop' }).postgres?.database).toBe('postgres')
})

test.for([
  ['DATABASE_URL', 'postgres://ada:swordfish@db.prod.example.com:5432/shop', 'db.prod.example.com'],
  ['DATABASE_URL', 'postgres://ada:swordfish@10.0.0.5/shop', '10.0.0.5'],
  ['DATABASE_URL', 'postgres://ada:swordfish@0.0.0.0/shop', '0.0.0.0'],
  ['DATABASE_URL', 'postgres://ada:swordfish@localhost.example.com/shop', 'localhost.example.com'],
  ['DATABASE_URL', 'postgres://ada:swordfish@127.0.0.1.example.com/shop', '127.0.0.1.example.com'],
  ['DATABASE_URL', 'postgres://ada:swordfish@localhost:5432@example.com/shop', 'example.com'],
  ['DATABASE_URL', 'postgres://ada:swordfish@[::ffff:a00:5]/shop', '::ffff:a00:5'],
  ['REDIS_URL', 'redis://:swordfish@cache.prod.example.com', 'cache.prod.example.com'],
] as const)('resolveSpec() refuses %s=%s before anything connects', async ([name, url, host]) => {
  const error = await refusalOf({ [name]: url })
  const title = name === 'REDIS_URL' ? 'Redis' : 'PostgreSQL'
  expect(error.code).toBe('INFRA_HOST_REFUSED')
  expect(error.message).toBe(
    `Cannot use the ${title} on "${host}", which ${name} names: it is neither on this machine nor among the allowed hosts\n` +
      `Let ${name} lead to a test server; if that is one, add '${host}' to external.allowedHosts or to VITEST_INFRA_ALLOWED_HOSTS`,
  )
})

test.for([
  ['DB_HOST', { DATABASE_URL: '', DB_HOST: 'db.prod.example.com' }, {}],
  ['DB_HOST', { DATABASE_URL: '', DB_HOST: '/var/run/postgresql' }, {}],
  ['REDIS_HOST', { REDIS_URL: '', REDIS_HOST: 'cache.prod.example.com' }, {}],
  ['external.postgres', {}, { postgres: 'postgres://db.prod.example.com' }],
  ['external.redis', {}, { redis: 'redis://cache.prod.example.com' }],
  ['DATABASE_URL', { DATABASE_URL: 'postgres://db.prod.example.com' }, { allowedHosts: ['prod.example.com', '*'] }],
] as const)('resolveSpec() refuses a remote host from any source: %s', async ([source, variables, external]) => {
  const error = await refusalOf(variables, { external })
  expect(error.code).toBe('INFRA_HOST_REFUSED')
  expect(error.message).toContain(`, which ${source} names:`)
})

test('resolveSpec() accepts an allowed host', () => {
  const variables = { DATABASE_URL: 'postgres://db.ci.internal', REDIS_URL: 'redis://cache' }
  const servers = (spec: ResolvedSpec) => [spec.postgres?.server?.host, spec.redis?.server?.host]
  const options = { external: { allowedHosts: ['DB.ci.internal', 'cache'] } }
  expect(servers(resolve(variables, options))).toEqual(['db.ci.internal', 'cache'])
  expect(servers(resolve({ ...variables, VITEST_INFRA_ALLOWED_HOSTS: 'db.ci.internal, cache' }))).toEqual([
    'db.ci.internal',
    'cache',
  ])
})

test.for(['host=db.prod.example.com', 'HOST=db.prod.example.com', 'sslmode=require&port=5433', 'user=root'])(
  'resolveSpec() refuses a URL whose parameters change its target: %s',
  async (parameters) => {
    const error = await refusalOf({ DATABASE_URL: `postgres://localhost/shop?${parameters}` })
    expect(error.code).toBe('INFRA_CONFIG_INVALID')
    expect(error.message).toMatch(
      /^Cannot use DATABASE_URL: its parameter "\w+" says again what stands in front of the/,
    )
  },
)

test.for([
  'postgres://ada:sword#fish@localhost/shop',
  'postgres://ada:swordfish%zz@localhost/shop',
  'mysql://ada:swordfish@localhost/shop',
  'postgres:///shop?host=/var/run/postgresql',
  'localhost:5432',
  'swordfish',
])('resolveSpec() refuses an invalid URL without repeating it: %s', async (url) => {
  const error = await refusalOf({ DATABASE_URL: url })
  expect(error.message).toBe(
    'Cannot use DATABASE_URL: it is no URL such as postgres://user:password@localhost:5432\n' +
      'Correct DATABASE_URL; write @ : / ? # and % in user and password as %40 %3A %2F %3F %23 %25',
  )
  expect(error.cause).toBeUndefined()
})

test('resolveSpec() names the missing variables of an external server', async () => {
  expect((await catchInfraError(() => resolve({ REDIS_URL: 'redis://localhost' }))).message).toBe(
    'Cannot use the provider "external": nothing says where PostgreSQL is\n' +
      "Set DATABASE_URL, or DB_HOST, or external.postgres; or leave 'postgres' out of services",
  )
  expect((await catchInfraError(() => resolve({ DB_HOST: 'localhost' }))).message).toContain(
    'Set REDIS_URL, or REDIS_HOST',
  )
  expect(resolve({ DB_HOST: 'localhost' }, { services: ['postgres'] }).redis).toBeUndefined()
})

test('resolveSpec() never selects an external server unasked', () => {
  const variables = { DATABASE_URL: 'postgres://db.prod.example.com', DB_HOST: 'db.prod.example.com' }
  for (const provider of ['auto', 'docker', 'embedded'] as const) {
    expect(resolve(variables, { provider }).postgres).toMatchObject({
      server: undefined,
      user: 'postgres',
      database: 'app',
    })
  }
  expect(resolve({ ...HERE, VITEST_INFRA_PROVIDER: 'external' }, { provider: undefined }).provider).toBe('external')
})

test.for(['postgres', 'redis'] as const)('resolveSpec() does not restart an external %s', async (service) => {
  const error = await refusalOf({}, { [service]: { restart: true } })
  expect(error.message).toBe(
    `Cannot use restart for service "${service}" with the provider "external": its server is not ours to start\n` +
      `Leave restart out of the options of ${service}, or take the provider 'docker' or 'embedded'`,
  )
})

test.for(['postgres', 'redis'] as const)(
  "resolveSpec() refuses isolation: 'server' for an external %s",
  async (service) => {
    const error = await refusalOf({}, { [service]: { isolation: 'server' } })
    expect(error.message).toBe(
      `Cannot use ${service}.isolation 'server' with the provider "external": it uses existing servers and cannot start others\n` +
        `Leave ${service}.isolation at 'database', or take the provider 'docker' or 'embedded'`,
    )
  },
)

test('resolveSpec() leases logical databases of an external Redis, and ignores ports', () => {
  const { postgres, redis } = resolve(HERE, { postgres: { port: 'env' }, redis: { port: 6379 } })
  expect(redis?.isolation).toBe('database')
  expect([postgres?.hostPort, redis?.hostPort]).toEqual([undefined, undefined])
})

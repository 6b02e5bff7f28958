import { assertType, expectTypeOf, test } from 'vitest'
import { defineInfra, type InfraOptions, type SeedStep, type StackFacts } from 'vitest-infra'
import { createGlobalSetup } from 'vitest-infra/global-setup'
import { infra } from 'vitest-infra/plugin'
import type { ServiceNamesIn } from '../../src/register.ts'
import { defineConfig } from 'vitest/config'

test('infra() needs no options', () => {
  assertType(infra())
  assertType(infra({}))
})

test('infra() takes every option', () => {
  assertType<InfraOptions>({
    provider: 'docker',
    services: ['postgres', 'redis'],
    postgres: {
      image: 'postgres:17',
      port: 'env',
      healthcheck: { cmd: 'true', interval: '5s', timeout: '5s', retries: 12 },
      labels: { a: 'b' },
      user: 'shop',
      password: 'secret',
      database: 'orders',
      settings: { wal_level: 'logical', max_connections: 90, jit: false },
      initdbArgs: '--locale=C',
      isolation: 'server',
      migrations: 'db/migrations',
      seeds: ['db/seeds'],
    },
    redis: { image: 'redis:7', port: 6379, args: ['--maxmemory', '64mb'], seeds: 'db/redis' },
    labels: { team: 'shop' },
    startupTimeoutMs: 30_000,
    libpqEnv: true,
    keepAlive: '30m',
    snapshot: false,
    env: () => ({}),
  })
})

test('a step names its files, and may have a key', () => {
  const run = async () => {}
  assertType<SeedStep>({ name: 'users', files: [], run })
  assertType<SeedStep>({ name: 'users', key: '10 users', files: ['users.txt'], run })
  // @ts-expect-error: a key alone does not say which files are read
  assertType<SeedStep>({ name: 'users', key: '10 users', run })
  // @ts-expect-error: text, so that its equality is plain to see
  assertType<SeedStep>({ name: 'users', key: 10, files: [], run })
})

test('infra() rejects options that do not exist', () => {
  // @ts-expect-error: not an option
  assertType(infra({ postgre: {} }))
  // @ts-expect-error: not an option of PostgreSQL
  assertType(infra({ postgres: { db: 'orders' } }))
  // @ts-expect-error: not an option of Redis
  assertType(infra({ redis: { user: 'shop' } }))
  // @ts-expect-error: not a part of a healthcheck
  assertType(infra({ redis: { healthcheck: { retry: 1 } } }))
})

test('infra() rejects values that an option cannot have', () => {
  // @ts-expect-error: not a provider
  assertType(infra({ provider: 'podman' }))
  // @ts-expect-error: not a service
  assertType(infra({ services: ['mysql'] }))
  // @ts-expect-error: not a port
  assertType(infra({ postgres: { port: 'any' } }))
  // @ts-expect-error: not a port; text is for variables
  assertType(infra({ postgres: { port: '5432' } }))
  // @ts-expect-error: not what a lease can get
  assertType(infra({ postgres: { isolation: 'cluster' } }))
  // @ts-expect-error: a number of milliseconds
  assertType(infra({ startupTimeoutMs: '60s' }))
  // @ts-expect-error: compose writes durations as text
  assertType(infra({ postgres: { healthcheck: { interval: 5 } } }))
  // @ts-expect-error: labels are text
  assertType(infra({ labels: { a: 1 } }))
  // @ts-expect-error: no options at all
  assertType(infra('docker'))
})

test("services are a list of built-in ones or an object of the user's own", () => {
  const mailpit = { image: 'axllent/mailpit', port: 1025, healthcheck: { cmd: 'true' } }
  assertType(infra({ services: { redis: false, mailpit } }))
  assertType(infra({ services: { mailpit: { ...mailpit, env: ({ host, port }) => ({ SMTP: `${host}:${port}` }) } } }))
  // @ts-expect-error: no image
  assertType(infra({ services: { mailpit: { port: 1025, healthcheck: { cmd: 'true' } } } }))
  // @ts-expect-error: no command
  assertType(infra({ services: { mailpit: { ...mailpit, healthcheck: { interval: '1s' } } } }))
  // @ts-expect-error: a number
  assertType(infra({ services: { mailpit: { ...mailpit, env: ({ port }) => ({ SMTP_PORT: port }) } } }))
})

test('a registered configuration names its services', () => {
  const { services } = defineInfra({
    services: { redis: false, mailpit: { image: 'm', port: 1, healthcheck: { cmd: 'c' } } },
  })
  expectTypeOf<ServiceNamesIn<typeof services>>().toEqualTypeOf<'postgres' | 'mailpit'>()
  expectTypeOf<ServiceNamesIn<readonly ['redis']>>().toEqualTypeOf<'redis'>()
})

test('infra() returns a plugin that Vitest takes', () => {
  assertType(defineConfig({ plugins: [infra()], test: { projects: [{ plugins: [infra()] }] } }))
})

test('env receives the facts of the stack', () => {
  assertType<InfraOptions>({
    env(facts) {
      expectTypeOf(facts).toEqualTypeOf<StackFacts>()
      expectTypeOf(facts.postgres.port).toEqualTypeOf<number>()
      // @ts-expect-error: the variables are being made
      void facts.env
      return { TEST_PG_URL: facts.postgres.url }
    },
  })
})

test('env returns strings', () => {
  // @ts-expect-error: a number
  assertType(infra({ env: ({ postgres }) => ({ TEST_PG_PORT: postgres.port }) }))
  // @ts-expect-error: a promise
  assertType(infra({ env: async ({ postgres }) => ({ TEST_PG_URL: postgres.url }) }))
})

test('defineInfra() returns options that infra() takes', () => {
  const options = defineInfra({ postgres: { image: 'pgvector/pgvector:pg18' }, env: ({ redis }) => ({ R: redis.url }) })
  expectTypeOf(options).toExtend<InfraOptions>()
  assertType(infra(options))
})

test('defineInfra() rejects what infra() rejects', () => {
  // @ts-expect-error: not an option
  assertType(defineInfra({ postgre: {} }))
  // @ts-expect-error: not a provider
  assertType(defineInfra({ provider: 'podman' }))
  // @ts-expect-error: not an option of PostgreSQL
  assertType(defineInfra({ postgres: { db: 'orders' } }))
})

test('createGlobalSetup() takes the options of infra()', () => {
  expectTypeOf(createGlobalSetup).parameter(0).toEqualTypeOf<InfraOptions | undefined>()
  // @ts-expect-error: not an option
  assertType(createGlobalSetup({ postgre: {} }))
})

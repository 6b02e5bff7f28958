import { expect, test } from 'vitest'
import { DEFAULT_SERVICES } from '../../../src/config/infra-service.ts'
import { type ResolvedSpec, servicesOf } from '../../../src/config/resolve-spec.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

function noVariables(): object {
  return {}
}

function doNothing(): void {}

test('resolveSpec() needs no options', () => {
  expect(resolve()).toEqual({
    root: '/project',
    provider: 'auto',
    startupTimeoutMs: 60_000,
    isolation: 'file',
    template: 'default',
    snapshot: true,
    libpqEnv: true,
    env: undefined,
    postgres: {
      service: { ...DEFAULT_SERVICES.postgres, labels: {} },
      hostPort: undefined,
      restart: false,
      user: 'postgres',
      password: 'postgres',
      database: 'app',
      settings: {},
      initdbArgs: '',
      isolation: 'database',
      templates: [{ name: 'default', from: undefined, extensions: [], migrations: undefined, seeds: undefined }],
    },
    redis: {
      service: { ...DEFAULT_SERVICES.redis, labels: {} },
      hostPort: undefined,
      restart: false,
      args: [],
      isolation: 'server',
      seeds: undefined,
    },
    custom: [],
  })
})

test('resolveSpec() takes every option over its default', () => {
  const spec = resolve({
    provider: 'docker',
    startupTimeoutMs: 30_000,
    isolation: 'worker',
    libpqEnv: false,
    env: noVariables,
    labels: { team: 'shop', stage: 'test' },
    postgres: {
      image: 'pgvector/pgvector:pg18',
      port: 15_432,
      restart: true,
      healthcheck: { cmd: 'true', interval: '1s', timeout: '2s', retries: 30 },
      labels: { stage: 'unit' },
      user: 'shop',
      password: 'secret',
      database: 'orders',
      settings: { wal_level: 'logical', max_connections: 90, jit: false, autovacuum: true },
      initdbArgs: '--locale=C',
      isolation: 'server',
      extensions: ['vector'],
      migrations: 'db/migrations',
      seeds: ['db/seeds', 'db/more'],
    },
    redis: { args: ['--maxmemory', '64mb'], isolation: 'database', seeds: 'db/redis' },
  })
  expect(spec).toMatchObject({
    provider: 'docker',
    startupTimeoutMs: 30_000,
    isolation: 'worker',
    libpqEnv: false,
    postgres: {
      service: {
        image: 'pgvector/pgvector:pg18',
        healthcheck: { cmd: 'true', interval: '1s', timeout: '2s', retries: 30 },
        labels: { team: 'shop', stage: 'unit' },
      },
      hostPort: 15_432,
      restart: true,
      user: 'shop',
      password: 'secret',
      database: 'orders',
      settings: { wal_level: 'logical', max_connections: '90', jit: 'off', autovacuum: 'on' },
      initdbArgs: '--locale=C',
      isolation: 'server',
      templates: [
        {
          name: 'default',
          from: undefined,
          extensions: ['vector'],
          migrations: ['db/migrations'],
          seeds: ['db/seeds', 'db/more'],
        },
      ],
    },
    redis: {
      service: { image: 'redis:8-alpine', labels: { team: 'shop', stage: 'test' } },
      hostPort: undefined,
      args: ['--maxmemory', '64mb'],
      isolation: 'database',
      seeds: ['db/redis'],
    },
  })
  expect(spec.env).toBe(noVariables)
})

test('resolveSpec() distinguishes an empty list of paths from undefined', () => {
  const { postgres, redis } = resolve({ postgres: { migrations: [] }, redis: { seeds: [] } })
  expect(postgres?.templates[0]).toMatchObject({ migrations: [], seeds: undefined })
  expect(redis?.seeds).toEqual([])
})

test('resolveSpec() treats undefined as not given', () => {
  const given = { provider: undefined, services: undefined, postgres: { user: undefined }, redis: undefined }
  expect(resolve(given)).toEqual(resolve())
})

test('resolveSpec() omits services that the option does not name', () => {
  expect(resolve({ services: ['redis'], postgres: { image: 'postgres:17' } }).postgres).toBeUndefined()
  expect(resolve({ services: ['postgres'] }).redis).toBeUndefined()
  expect(servicesOf(resolve({ services: [] }))).toEqual([])
})

test("servicesOf() keeps the default order, whatever the option's", () => {
  const names = servicesOf(resolve({ services: ['redis', 'postgres'] })).map(({ service }) => service.name)
  expect(names).toEqual(['postgres', 'redis'])
})

type Read = (spec: ResolvedSpec) => unknown

/** A variable, the option that overrides it, and the results of both. */
const variables: readonly (readonly [string, object, Read, fallback: unknown])[] = [
  ['POSTGRES_USER', { postgres: { user: '1' } }, ({ postgres }) => postgres?.user, 'postgres'],
  ['POSTGRES_PASSWORD', { postgres: { password: '1' } }, ({ postgres }) => postgres?.password, 'postgres'],
  ['POSTGRES_DB', { postgres: { database: '1' } }, ({ postgres }) => postgres?.database, 'app'],
  ['POSTGRES_PORT', { postgres: { port: 1 } }, ({ postgres }) => postgres?.hostPort, 5432],
  ['REDIS_PORT', { redis: { port: 1 } }, ({ redis }) => redis?.hostPort, 6379],
  [
    'VITEST_INFRA_POSTGRES_IMAGE',
    { postgres: { image: '1' } },
    ({ postgres }) => postgres?.service.image,
    'postgres:18-alpine',
  ],
  ['VITEST_INFRA_REDIS_IMAGE', { redis: { image: '1' } }, ({ redis }) => redis?.service.image, 'redis:8-alpine'],
  ['VITEST_INFRA_STARTUP_TIMEOUT_MS', { startupTimeoutMs: 1 }, ({ startupTimeoutMs }) => startupTimeoutMs, 60_000],
]
const fromVariables = { postgres: { port: 'env' }, redis: { port: 'env' } }
const ports = 'POSTGRES_PORT=5432\nREDIS_PORT=6379\n'

test.for(variables)('resolveSpec() settles %s: option, process, .env, .env.example, default', (row) => {
  const [name, option, read, fallback] = row
  const layers = { process: { [name]: '2' }, envFile: `${name}=3`, envExample: `${ports}${name}=4` }
  const settle = (options: object, environment: object) => String(read(resolve(options, environment)))

  expect(settle(option, layers)).toBe('1')
  expect(settle(fromVariables, layers)).toBe('2')
  expect(settle(fromVariables, { ...layers, process: {} })).toBe('3')
  expect(settle(fromVariables, { envExample: layers.envExample })).toBe('4')
  expect(settle(fromVariables, {})).toBe(String(fallback))
})

test.for(variables)('resolveSpec() treats an empty %s as unset', ([name, , read]) => {
  const layers = { process: { [name]: '' }, envFile: `${name}=`, envExample: `${ports}${name}=4` }
  expect(String(read(resolve(fromVariables, layers)))).toBe('4')
})

test('resolveSpec() settles VITEST_INFRA_PROVIDER: option, environment, default', () => {
  const process = { VITEST_INFRA_PROVIDER: 'docker' }
  expect(resolve({ provider: 'auto' }, { process }).provider).toBe('auto')
  expect(resolve({}, { process }).provider).toBe('docker')
  expect(resolve({}, { envFile: 'VITEST_INFRA_PROVIDER=docker' }).provider).toBe('docker')
  expect(resolve().provider).toBe('auto')
})

test.for(['random', undefined])('resolveSpec() ignores the port variables for port %s', (port) => {
  const spec = resolve({ postgres: { port }, redis: { port } }, { process: { POSTGRES_PORT: 'x', REDIS_PORT: 'y' } })
  expect([spec.postgres?.hostPort, spec.redis?.hostPort]).toEqual([undefined, undefined])
})

test('resolveSpec() does not read VITEST_INFRA_PROVIDER if the option is given', () => {
  expect(resolve({ provider: 'docker' }, { process: { VITEST_INFRA_PROVIDER: 'podman' } }).provider).toBe('docker')
})

test.for([
  [{}, {}, true],
  [{}, { CI: 'true' }, false],
  [{}, { CI: 'false' }, true],
  [{}, { CI: 'true', VITEST_INFRA_SNAPSHOT: 'on' }, true],
  [{}, { VITEST_INFRA_SNAPSHOT: 'off' }, false],
  [{ snapshot: true }, { CI: 'true', VITEST_INFRA_SNAPSHOT: 'off' }, true],
  [{ snapshot: false }, { VITEST_INFRA_SNAPSHOT: 'on' }, false],
] as const)('resolveSpec() of %o with %o has snapshot: %s', ([options, process, snapshot]) => {
  expect(resolve(options, { process }).snapshot).toBe(snapshot)
})

test.for([
  [{}, {}, undefined],
  [{ keepAlive: '30m' }, {}, 1_800_000],
  [{ keepAlive: false }, { VITEST_INFRA_KEEP_ALIVE: '1h' }, undefined],
  [{}, { VITEST_INFRA_KEEP_ALIVE: '1h' }, 3_600_000],
  [{}, { VITEST_INFRA_KEEP_ALIVE: 'off' }, undefined],
  [{ keepAlive: '30m' }, { CI: 'true' }, undefined],
  [{ keepAlive: '30m' }, { CI: 'false' }, 1_800_000],
  [{ keepAlive: '30m' }, { CI: 'true', VITEST_INFRA_KEEP_ALIVE: '1m' }, 60_000],
] as const)('resolveSpec() of %o with %o has keepAliveMs: %s', ([options, process, keepAliveMs]) => {
  expect(resolve(options, { process }).keepAliveMs).toBe(keepAliveMs)
})

test.for([
  [{ startupTimeoutMs: 300_000 }, 60],
  [{ startupTimeoutMs: 60_001 }, 13],
  [{ startupTimeoutMs: 1_000 }, 12],
  [{ postgres: { healthcheck: { interval: '250ms' } } }, 240],
  [{ postgres: { healthcheck: { interval: '1m' } } }, 12],
] as const)('resolveSpec() sets retries that cover the startup timeout with %j', ([options, retries]) => {
  expect(resolve(options).postgres?.service.healthcheck.retries).toBe(retries)
})

test("resolveSpec() requires a fixed port's variable in .env.example", async () => {
  const envExample = 'POSTGRES_PORT=5432\n# REDIS_PORT=6379\n'
  expect(resolve({ redis: { port: 'random' } }, { envExample }).redis?.hostPort).toBeUndefined()
  expect(resolve({ redis: { port: 'env' } }).redis?.hostPort).toBe(6379)
  expect(resolve({ postgres: { port: 'env' } }, { envExample }).postgres?.hostPort).toBe(5432)
  const error = await catchInfraError(() => resolve({ redis: { port: 'env' } }, { envExample }))
  expect(error).toMatchObject({ code: 'INFRA_PORT_VARIABLE_MISSING', service: 'redis' })
})

test('resolveSpec() puts each template after the one that it extends', () => {
  const spec = resolve({
    template: 'orders',
    templates: {
      orders: { from: 'customers', seeds: doNothing },
      customers: { extensions: ['citext'], migrations: ['db/customers'] },
    },
  })
  expect(spec.template).toBe('orders')
  expect(spec.postgres?.templates).toEqual([
    { name: 'default', from: undefined, extensions: [], migrations: undefined, seeds: undefined },
    { name: 'customers', from: 'default', extensions: ['citext'], migrations: ['db/customers'], seeds: [] },
    { name: 'orders', from: 'customers', extensions: [], migrations: [], seeds: [doNothing] },
  ])
})

test('resolveSpec() requires no templates without PostgreSQL', () => {
  expect(resolve({ services: ['redis'], template: 'orders' }).postgres).toBeUndefined()
})

test('resolveSpec() deep-freezes its result', () => {
  const spec = resolve({
    labels: { a: 'b' },
    postgres: { seeds: ['x'], settings: { a: 1 } },
    redis: { args: ['y'], seeds: ['z'] },
    templates: { orders: { extensions: ['citext'], seeds: 'x' } },
  })
  expect(partsOf(spec).flatMap(([path, part]) => (Object.isFrozen(part) ? [] : [path]))).toEqual([])
})

test("resolveSpec() neither freezes nor changes the user's own options", () => {
  const env = Object.assign(() => ({}), { calls: [] })
  const data = {
    services: ['postgres', 'redis'],
    labels: { a: 'b' },
    postgres: {
      healthcheck: { retries: 20 },
      labels: { c: 'd' },
      settings: { e: 1 },
      extensions: ['f'],
      migrations: ['g'],
      seeds: ['h'],
    },
    redis: { args: ['i'], labels: {}, seeds: ['j'] },
    templates: { orders: { extensions: ['k'], migrations: ['l'], seeds: ['m'] } },
  }
  const before = structuredClone(data)
  resolve({ ...data, env })
  expect(data).toEqual(before)
  expect(frozenParts(data)).toEqual([])
  expect(Object.isFrozen(env)).toBe(false)
  expect(frozenParts(DEFAULT_SERVICES)).toEqual([])
})

test("resolveSpec() does not freeze the user's own seeds", () => {
  const step = { name: 'load', files: ['a.csv'], run: Object.assign(() => {}, { calls: [] }) }
  resolve({ postgres: { seeds: [step] }, templates: { orders: { migrations: step } } })
  expect(frozenParts(step)).toEqual([])
})

test('resolveSpec() ignores later changes of the options', () => {
  const options = { redis: { args: ['--maxmemory', '64mb'] }, labels: { a: 'b' } }
  const spec = resolve(options)
  options.redis.args.push('--appendonly')
  options.labels.a = 'c'
  expect(spec.redis?.args).toEqual(['--maxmemory', '64mb'])
  expect(spec.redis?.service.labels).toEqual({ a: 'b' })
})

function frozenParts(value: unknown): string[] {
  return partsOf(value).flatMap(([path, part]) => (Object.isFrozen(part) ? [path] : []))
}

/** Every object within a value, the value included, by its path. */
function partsOf(value: unknown, path = 'spec'): [string, object][] {
  if (typeof value !== 'object' || value === null) {
    return []
  }
  return [[path, value], ...Object.entries(value).flatMap(([key, part]) => partsOf(part, `${path}.${key}`))]
}

import { expect, test } from 'vitest'
import { assertOptions } from '../../../src/spec/options-schema.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

async function problemOf(options: unknown): Promise<string> {
  const error = await catchInfraError(() => assertOptions(options, 'infra()'))
  expect(error.code).toBe('INFRA_CONFIG_INVALID')
  return error.message.split('\n')[0] ?? ''
}

test('assertOptions() passes every option there is', () => {
  const service = {
    image: 'registry.example:5000/team/image@sha256:0123',
    port: 'env',
    healthcheck: { cmd: 'true', interval: '5s', timeout: '5s', retries: 12 },
    labels: { a: 'b' },
  }
  const options = {
    provider: 'auto',
    services: ['postgres', 'redis'],
    postgres: {
      ...service,
      port: 'random',
      user: 'u'.repeat(63),
      password: 'p'.repeat(100),
      database: 'ä"; DROP',
      settings: { a: 'b', c: 1, d: true },
      initdbArgs: '',
      isolation: 'server',
      extensions: ['vector'],
      migrations: 'a',
      seeds: ['b', () => {}, { name: 'c', files: ['d'], run: () => {} }],
    },
    redis: { ...service, port: 6379, args: [], isolation: 'database', seeds: 'e' },
    isolation: 'worker',
    templates: { orders: { from: 'default', extensions: [], migrations: [], seeds: () => {} } },
    template: 'orders',
    labels: {},
    startupTimeoutMs: 1,
    libpqEnv: true,
    keepAlive: '30m',
    snapshot: false,
    env: () => ({}),
  }
  expect(() => assertOptions(options, 'infra()')).not.toThrow()
  expect(() => assertOptions({}, 'infra()')).not.toThrow()
})

test('assertOptions() says what is wrong, why, and where to look', async () => {
  const error = await catchInfraError(() => assertOptions({ postgre: {} }, '/project/infra.config.ts'))
  expect(error.code).toBe('INFRA_CONFIG_INVALID')
  expect(error.message).toBe(
    [
      'Cannot use the options of /project/infra.config.ts: postgre is not an option',
      'Correct them; README.md, "Configuration", lists every option',
    ].join('\n'),
  )
})

test.for([
  [{ postgre: {} }, 'postgre is not an option'],
  [{ postgres: { db: 'a' } }, 'postgres.db is not an option'],
  [{ redis: { user: 'a' } }, 'redis.user is not an option'],
  [{ redis: { healthcheck: { retry: 1 } } }, 'redis.healthcheck.retry is not an option'],
  [{ templates: { orders: { form: 'default' } } }, 'templates.orders.form is not an option'],
] as const)('assertOptions() rejects the unknown key of %j', async ([options, fault]) => {
  expect(await problemOf(options)).toBe(`Cannot use the options of infra(): ${fault}`)
})

test.for([
  [{ provider: 'podman' }, /provider must be .*"auto".*"docker".*, but is "podman"$/],
  [{ services: ['mysql'] }, /services\.0 must be .*"postgres".*"redis".*, but is "mysql"$/],
  [{ postgres: 'postgres:18' }, /postgres must be an object, but is "postgres:18"$/],
  [
    { postgres: { image: 'postgres 18' } },
    /postgres\.image must be an image name without spaces, but is "postgres 18"$/,
  ],
  [{ postgres: { port: 'any' } }, /postgres\.port must be "random", "env" or a number, but is "any"$/],
  [{ postgres: { port: '5432' } }, /postgres\.port must be "random", "env" or a number, but is "5432"$/],
  [{ postgres: { seeds: 5 } }, /postgres\.seeds must be .*string.*, but is 5$/],
  [
    { postgres: { settings: { jit: null } } },
    /postgres\.settings\.jit must be .*string.*number.*boolean.*, but is null$/,
  ],
  [{ redis: { args: '--save' } }, /redis\.args must be .*, but is "--save"$/],
  [{ redis: { healthcheck: { retries: 1.5 } } }, /redis\.healthcheck\.retries must be a whole number, but is 1\.5$/],
  [{ redis: { healthcheck: { retries: 0 } } }, /redis\.healthcheck\.retries must be at least 1, but is 0$/],
  [{ postgres: { isolation: 'file' } }, /postgres\.isolation must be .*"database".*"server".*, but is "file"$/],
  [{ redis: { isolation: 'file' } }, /redis\.isolation must be .*"server".*"database".*, but is "file"$/],
  [{ isolation: 'test' }, /isolation must be .*"file".*"worker".*"shared".*, but is "test"$/],
  [{ labels: { team: 1 } }, /labels\.team must be .*string.*, but is 1$/],
  [{ startupTimeoutMs: '60s' }, /startupTimeoutMs must be .*number.*, but is "60s"$/],
  [{ startupTimeoutMs: 1.5 }, /startupTimeoutMs must be a whole number, but is 1\.5$/],
  [{ startupTimeoutMs: 0 }, /startupTimeoutMs must be at least 1, but is 0$/],
  [{ libpqEnv: 'yes' }, /libpqEnv must be .*boolean.*, but is "yes"$/],
  [{ env: { A: 'b' } }, /env must be .*unction.*, but is .*$/],
  [null, /the whole must be an object, but is null$/],
  ['docker', /the whole must be an object, but is "docker"$/],
] as const)('assertOptions() rejects %j', async ([options, fault]) => {
  expect(await problemOf(options)).toMatch(fault)
})

test.for([
  [{ postgres: { user: '' } }, 'postgres.user must not be empty'],
  [{ postgres: { password: '' } }, 'postgres.password must not be empty'],
  [{ postgres: { database: '' } }, 'postgres.database must not be empty'],
  [{ redis: { healthcheck: { cmd: '' } } }, 'redis.healthcheck.cmd must not be empty'],
  [{ postgres: { user: 'ä'.repeat(32) } }, 'postgres.user must not be longer than 63 bytes'],
  [{ postgres: { database: 'a'.repeat(64) } }, 'postgres.database must not be longer than 63 bytes'],
] as const)('assertOptions() rejects the text of %j', async ([options, fault]) => {
  expect(await problemOf(options)).toContain(fault)
})

test('assertOptions() lists every fault at once', async () => {
  const problem = await problemOf({ provider: 'x', tmp: 1, verbose: true, redis: { args: 1, user: 'a' } })
  expect(problem).toContain('provider must be')
  expect(problem).toContain('redis.args must be')
  expect(problem).toContain('redis.user is not an option')
  expect(problem).toContain('tmp is not an option')
  expect(problem).toContain('verbose is not an option')
})

test('assertOptions() names the entry of a list of paths that is wrong', async () => {
  expect(await problemOf({ postgres: { seeds: ['a', 5] } })).toMatch(/postgres\.seeds\.1 must be .*string.*, but is 5$/)
})

test('assertOptions() never prints a password', async () => {
  expect(await problemOf({ postgres: { password: 271_828 } })).not.toContain('271828')
})

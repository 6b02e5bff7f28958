import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { assertOptions } from '../../../src/config/options-schema.ts'

test('assertOptions() accepts every option', () => {
  const service = {
    image: `registry.example:5000/team/image@sha256:${'0'.repeat(64)}`,
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

test.for([
  'postgres',
  'postgres@sha256:' + '0'.repeat(64),
  'localhost:5000/a',
  '127.0.0.1:49153/vitest-infra/pulled:1',
  '[::1]:5000/a/b-c__d.e:V1.2_3-x',
  'Registry/a',
  'sha256:' + '0'.repeat(64),
])('assertOptions() accepts the image %s', (image) => {
  expect(() => assertOptions({ redis: { image } }, 'infra()')).not.toThrow()
})

// Vitest may read its configuration in another realm, with another Object; a module has no prototype.
test('assertOptions() accepts an object of another realm and one without a prototype', () => {
  expect(() => assertOptions(runInNewContext('({ redis: {} })'), 'infra()')).not.toThrow()
  expect(() => assertOptions(Object.assign(Object.create(null), { redis: {} }), 'infra()')).not.toThrow()
})

test("assertOptions() accepts names of Object.prototype's properties", () => {
  expect(() => assertOptions({ templates: { constructor: {} }, labels: { toString: 'a' } }, 'infra()')).not.toThrow()
})

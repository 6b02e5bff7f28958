import { expect, test } from 'vitest'
import { mergeOptions } from '../../../src/config/infra-options.ts'
import { servicesOf } from '../../../src/config/resolve-spec.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

const mailpit = { image: 'axllent/mailpit:v1.27', port: 1025, healthcheck: { cmd: '/mailpit readyz' } }

const names = (options: object) => servicesOf(resolve(options)).map(({ service }) => service.name)

test('a custom service is added to the built-in ones, with their defaults', () => {
  const [, , custom] = servicesOf(resolve({ services: { mailpit } }))
  expect(custom).toEqual({
    service: {
      name: 'mailpit',
      image: 'axllent/mailpit:v1.27',
      healthcheck: { cmd: '/mailpit readyz', interval: '5s', timeout: '5s', retries: 12 },
      defaultPort: 1025,
      envPortVar: 'MAILPIT_PORT',
      persistence: false,
      state: 'stopped',
      labels: {},
    },
    hostPort: undefined,
    restart: false,
    server: undefined,
    environment: {},
    command: [],
    env: undefined,
  })
})

test('false disables any service', () => {
  expect(names({ services: { mailpit } })).toEqual(['postgres', 'redis', 'mailpit'])
  expect(names({ services: { redis: false, mailpit } })).toEqual(['postgres', 'mailpit'])
  expect(names({ services: { postgres: false, redis: false, mailpit: false } })).toEqual([])
})

test("a project's options add to the services of infra.config and can disable them", () => {
  const base = { services: { mailpit, minio: { ...mailpit, image: 'minio' } } }
  expect(names(mergeOptions(base, { services: { minio: false } }))).toEqual(['postgres', 'redis', 'mailpit'])
  expect(names(mergeOptions(base, { services: ['redis'] }))).toEqual(['redis'])
  expect(names(mergeOptions({ services: ['redis'] }, base))).toEqual(['postgres', 'redis', 'mailpit', 'minio'])
})

test("a custom service's host port is random, fixed, or read from its variable", () => {
  const portOf = (hostPort: unknown, process = {}) =>
    resolve({ services: { 'mail-pit': { ...mailpit, hostPort } } }, { process }).custom[0]?.hostPort
  expect(portOf('random')).toBeUndefined()
  expect(portOf(8025)).toBe(8025)
  expect(portOf('env')).toBe(1025)
  expect(portOf('env', { MAIL_PIT_PORT: '2525' })).toBe(2525)
})

test('the retries cover the startup timeout', () => {
  const [service] = resolve({ startupTimeoutMs: 120_000, services: { mailpit } }).custom
  expect(service?.service.healthcheck.retries).toBe(24)
})

test.for([
  ['variables', {}, { MAILPIT_HOST: 'localhost', MAILPIT_PORT: '2525' }, { host: 'localhost', port: 2525 }],
  ['its host alone', {}, { MAILPIT_HOST: '127.0.0.1' }, { host: '127.0.0.1', port: 1025 }],
  ['an option', { services: { mailpit: 'localhost:3025' } }, {}, { host: 'localhost', port: 3025 }],
  ['IPv6', { services: { mailpit: '[::1]:3025' } }, {}, { host: '::1', port: 3025 }],
  [
    'a host that is allowed',
    { services: { mailpit: 'mail.test:3025' }, allowedHosts: ['mail.test'] },
    {},
    { host: 'mail.test', port: 3025 },
  ],
] as const)('an external server is found by %s', ([, external, process, server]) => {
  const options = { provider: 'external', services: { postgres: false, redis: false, mailpit }, external }
  expect(resolve(options, { process }).custom[0]?.server).toEqual(server)
})

test.for([
  [
    {},
    'Cannot use the provider "external": nothing says where mailpit is',
    "Set MAILPIT_HOST, or external.services.mailpit; or leave 'mailpit' out of services",
  ],
  [
    { services: { mailpit: 'smtp://localhost:1025' } },
    'Cannot use external.services.mailpit: "smtp://localhost:1025" is no address such as localhost:1025',
    'Correct external.services.mailpit; write an address of IPv6 in brackets',
  ],
  [
    { services: { mailpit: 'localhost:70000' } },
    'Cannot use external.services.mailpit: "70000" is not a port',
    'Set external.services.mailpit to a whole number from 1 to 65535',
  ],
  [
    { services: { mailpit: 'mail.example.org:25' } },
    'Cannot use the mailpit on "mail.example.org", which external.services.mailpit names: it is neither on this machine nor among the allowed hosts',
    "Let external.services.mailpit lead to a test server; if that is one, add 'mail.example.org' to external.allowedHosts or to VITEST_INFRA_ALLOWED_HOSTS",
  ],
] as const)('an address is refused: %j', async ([external, problem, remedy]) => {
  const options = { provider: 'external', services: { postgres: false, redis: false, mailpit }, external }
  const error = await catchInfraError(() => resolve(options))
  expect(error.message).toBe(`${problem}\n${remedy}`)
})

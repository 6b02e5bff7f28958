import { expect, test } from 'vitest'
import type { InfraErrorCode } from '../../../src/errors.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

class Options {
  readonly provider = 'docker'
}
const step = { name: 'load', files: [], run: () => {} }
const custom = { image: 'mailpit', port: 1025, healthcheck: { cmd: 'true' } }
const parsed = (json: string): object => JSON.parse(json) as object

/** The problem, and the options that cause it. */
const faults: readonly (readonly [fault: string, options: unknown])[] = [
  // The whole
  ['the whole must be an object, but is null', null],
  ['the whole must be an object, but is "docker"', 'docker'],
  ['the whole must be an object, but is a function', () => ({})],
  ['the whole must be an object, but is a list', []],
  ['the whole must be a plain object, but is an instance of Promise', Promise.resolve({})],
  ['the whole must be a plain object, but is an instance of Map', new Map([['provider', 'docker']])],
  ['the whole must be a plain object, but is an instance of Options', new Options()],
  [
    'the whole must be a plain object, but is an instance of undefined',
    Object.create(Object.create(Object.create(null))),
  ],
  // Keys
  ['postgre is not an option', { postgre: {} }],
  ['postgres.db is not an option', { postgres: { db: 'a' } }],
  ['redis.user is not an option', { redis: { user: 'a' } }],
  ['redis.healthcheck.retry is not an option', { redis: { healthcheck: { retry: 1 } } }],
  ['templates.orders.form is not an option', { templates: { orders: { form: 'default' } } }],
  ['constructor is not an option', { constructor: 1 }],
  ['postgres.toString is not an option', { postgres: { toString: 'a' } }],
  ['__proto__ is not an option', parsed('{ "__proto__": { "provider": "docker" } }')],
  [String.raw`"a\u0000.b" is not an option`, { 'a\0.b': 1 }],
  // Choices
  ['provider must be "auto" or "docker" or "embedded" or "external", but is "podman"', { provider: 'podman' }],
  [
    'provider must be "auto" or "docker" or "embedded" or "external", but is Symbol(docker)',
    { provider: Symbol('docker') },
  ],
  [
    'services must be a list of "postgres" and "redis", or an object of services, but is "postgres"',
    { services: 'postgres' },
  ],
  ['services.0 must be "postgres" or "redis", but is "mysql"', { services: ['mysql'] }],
  ['services.1 is missing', { services: ['redis', undefined] }],
  ['isolation must be "file" or "worker" or "shared", but is "test"', { isolation: 'test' }],
  ['postgres.isolation must be "database" or "server" or "schema", but is "file"', { postgres: { isolation: 'file' } }],
  ['redis.isolation must be "server" or "database", but is "file"', { redis: { isolation: 'file' } }],
  ['snapshot must be a boolean, but is "on"', { snapshot: 'on' }],
  ['libpqEnv must be a boolean, but is 1', { libpqEnv: 1 }],
  ['env must be a function, but is an object', { env: { A: 'b' } }],
  // Services of the user's own
  ['services.mailpit must be an object, but is true', { services: { mailpit: true } }],
  ['services.mailpit.image is missing', { services: { mailpit: { port: 1, healthcheck: { cmd: 'true' } } } }],
  ['services.mailpit.port is missing', { services: { mailpit: { image: 'a', healthcheck: { cmd: 'true' } } } }],
  ['services.mailpit.healthcheck is missing', { services: { mailpit: { image: 'a', port: 1 } } }],
  ['services.mailpit.healthcheck.cmd is missing', { services: { mailpit: { ...custom, healthcheck: {} } } }],
  ['services.mailpit.port must be a number, but is "1025"', { services: { mailpit: { ...custom, port: '1025' } } }],
  ['services.mailpit.port must be at most 65535, but is 65536', { services: { mailpit: { ...custom, port: 65_536 } } }],
  ['services.mailpit.env must be a function, but is an object', { services: { mailpit: { ...custom, env: {} } } }],
  ['services.mailpit.ports is not an option', { services: { mailpit: { ...custom, ports: [1] } } }],
  [
    'services.mailpit.environment."A B" is not the name of a variable',
    { services: { mailpit: { ...custom, environment: { 'A B': 'c' } } } },
  ],
  ['services.mailpit.command.0 must be a string, but is 1', { services: { mailpit: { ...custom, command: [1] } } }],
  ...['', 'Mailpit', 'mail pit', '-mail', 'mail-', 'mail_pit', '1mail', 'mail--pit'].map(
    (name) =>
      [
        `services.${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)} is not the name of a service: small letters, digits, and "-" between them`,
        { services: { [name]: custom } },
      ] as const,
  ),
  [
    'services.redis-test is not the name of a service: those in "-test" are compose\'s',
    { services: { 'redis-test': custom } },
  ],
  ['services.db is not the name of a service: DB_HOST and DB_PORT lead to PostgreSQL', { services: { db: custom } }],
  // Images
  ...[
    '',
    'postgres 18',
    'postgres:',
    ':18',
    'Postgres:18',
    'postgres:18:19',
    'postgres/',
    '/postgres',
    '../postgres',
  ].map((image) => [imageFault(image), { postgres: { image } }] as const),
  ...['a//b', 'postgres:.18', 'größe', '-v', 'post\0gres', 'postgres\n', 'http://localhost/postgres'].map(
    (image) => [imageFault(image), { postgres: { image } }] as const,
  ),
  [imageFault('postgres@sha256:0123'), { postgres: { image: 'postgres@sha256:0123' } }],
  [imageFault('https://shop:***@registry/a'), { postgres: { image: 'https://shop:secret@registry/a' } }],
  ['postgres.image must be a string, but is null', { postgres: { image: null } }],
  // Ports
  ['postgres.port must be "random", "env" or a number, but is "any"', { postgres: { port: 'any' } }],
  ['postgres.port must be "random", "env" or a number, but is "5432"', { postgres: { port: '5432' } }],
  ['postgres.port must be "random", "env" or a number, but is NaN', { postgres: { port: Number.NaN } }],
  ['postgres.port must be "random", "env" or a number, but is 5432n', { postgres: { port: 5432n } }],
  // Healthchecks and times
  ['redis.healthcheck must be an object, but is "redis-cli ping"', { redis: { healthcheck: 'redis-cli ping' } }],
  ['redis.healthcheck.cmd must be a string, but is a list', { redis: { healthcheck: { cmd: ['CMD', 'true'] } } }],
  ['redis.healthcheck.cmd must not be empty, but is " "', { redis: { healthcheck: { cmd: ' ' } } }],
  [
    String.raw`redis.healthcheck.cmd must not contain a NUL character, but is "\u0000"`,
    { redis: { healthcheck: { cmd: '\0' } } },
  ],
  ['redis.healthcheck.interval must be a string, but is 5000', { redis: { healthcheck: { interval: 5000 } } }],
  ['redis.healthcheck.retries must be a number, but is "12"', { redis: { healthcheck: { retries: '12' } } }],
  ['redis.healthcheck.retries must be a number, but is NaN', { redis: { healthcheck: { retries: Number.NaN } } }],
  ['redis.healthcheck.retries must be a whole number, but is 1.5', { redis: { healthcheck: { retries: 1.5 } } }],
  ['redis.healthcheck.retries must be at least 1, but is 0', { redis: { healthcheck: { retries: 0 } } }],
  [
    'redis.healthcheck.retries must be at most 2147483647, but is 1e+300',
    { redis: { healthcheck: { retries: 1e300 } } },
  ],
  ['startupTimeoutMs must be a number, but is "60s"', { startupTimeoutMs: '60s' }],
  ['startupTimeoutMs must be a number, but is 60000n', { startupTimeoutMs: 60_000n }],
  ['startupTimeoutMs must be at least 1, but is -1', { startupTimeoutMs: -1 }],
  // setTimeout() would not wait at all.
  ['startupTimeoutMs must be at most 2147483647, but is 2147483648', { startupTimeoutMs: 2 ** 31 }],
  [
    'startupTimeoutMs must be a whole number, but is Infinity; startupTimeoutMs must be at most 2147483647, but is Infinity',
    { startupTimeoutMs: Infinity },
  ],
  ['keepAlive must be a duration such as "30m", or false, but is true', { keepAlive: true }],
  ['keepAlive must be a duration such as "30m", or false, but is 30', { keepAlive: 30 }],
  // Names
  ['postgres must be an object, but is "postgres:18"', { postgres: 'postgres:18' }],
  ['postgres.user must not be empty, but is ""', { postgres: { user: '' } }],
  ['postgres.user must not be empty, but is " "', { postgres: { user: ' ' } }],
  [String.raw`postgres.user must be a single line, but is "a\nb"`, { postgres: { user: 'a\nb' } }],
  [
    'postgres.user must not begin with "pg_", which PostgreSQL keeps for itself, but is "pg_shop"',
    { postgres: { user: 'pg_shop' } },
  ],
  [
    `postgres.user must not be longer than 63 bytes, but is "${'ä'.repeat(32)}"`,
    { postgres: { user: 'ä'.repeat(32) } },
  ],
  [String.raw`postgres.database must not contain a NUL character, but is "a\u0000"`, { postgres: { database: 'a\0' } }],
  [
    String.raw`postgres.database must not contain half a character (a lone surrogate), but is "\ud83d"`,
    { postgres: { database: '\ud83d' } },
  ],
  [
    'postgres.database must not be one of the templates that PostgreSQL has itself, but is "template1"',
    { postgres: { database: 'template1' } },
  ],
  [
    `postgres.database must not be longer than 63 bytes, but is "${'a'.repeat(99)}…`,
    { postgres: { database: 'a'.repeat(1_000) } },
  ],
  ['postgres.database must not be "." or "..", which no URL can name, but is ".."', { postgres: { database: '..' } }],
  // Passwords are never shown.
  ['postgres.password must be a string', { postgres: { password: 271_828 } }],
  ['postgres.password must not be empty', { postgres: { password: '' } }],
  ['postgres.password must be a single line', { postgres: { password: 'first\nsecond' } }],
  ['postgres.password must not contain a NUL character', { postgres: { password: 'secret\0' } }],
  // Arguments of a server's command line
  [
    'postgres.settings.jit must be a string or a number or a boolean, but is null',
    { postgres: { settings: { jit: null } } },
  ],
  [
    'postgres.settings.jit must be a string or a number or a boolean, but is NaN',
    { postgres: { settings: { jit: NaN } } },
  ],
  ['postgres.settings."" is not the name of a setting', { postgres: { settings: { '': 1 } } }],
  ['postgres.settings."jit=off -c a" is not the name of a setting', { postgres: { settings: { 'jit=off -c a': 1 } } }],
  ['postgres.settings.PORT is set by vitest-infra itself', { postgres: { settings: { PORT: 5433 } } }],
  [
    'postgres.settings.__proto__ is not a name that can be given',
    { postgres: { settings: parsed('{ "__proto__": "a" }') } },
  ],
  [
    String.raw`postgres.initdbArgs must not contain a NUL character, but is "\u0000"`,
    { postgres: { initdbArgs: '\0' } },
  ],
  ['redis.args must be a list, but is "--save"', { redis: { args: '--save' } }],
  ['redis.args.1 must be a string, but is 64', { redis: { args: ['--maxmemory', 64] } }],
  [
    'redis.args.0 must leave port, bind, requirepass and daemonize to vitest-infra, but is "--port 7000"',
    { redis: { args: ['--port 7000'] } },
  ],
  ['redis.binary must not be empty, but is ""', { redis: { binary: '' } }],
  // Seeds: an empty path would mean the project's folder, and every .sql file in it.
  ['postgres.migrations must not be empty, but is ""', { postgres: { migrations: '' } }],
  [
    String.raw`postgres.migrations.1 must not contain a NUL character, but is "\u0000"`,
    { postgres: { migrations: ['a', '\0'] } },
  ],
  ['postgres.seeds must be a path, a function, a step, or a list of them, but is 5', { postgres: { seeds: 5 } }],
  [
    'postgres.seeds must be a path, a function, a step, or a list of them, but is an instance of Promise',
    { postgres: { seeds: Promise.resolve() } },
  ],
  ['postgres.seeds.1 must be a path, a function or a step, but is 5', { postgres: { seeds: ['a', 5] } }],
  ['postgres.seeds.run is missing', { postgres: { seeds: { name: 'load', files: [] } } }],
  ['postgres.seeds.0.file is not an option', { postgres: { seeds: [{ ...step, file: 'a' }] } }],
  ['postgres.extensions must be a list, but is "vector"', { postgres: { extensions: 'vector' } }],
  ['postgres.extensions.0 must not be empty, but is ""', { postgres: { extensions: [''] } }],
  ['redis.seeds must be a string or a list, but is a function', { redis: { seeds: () => {} } }],
  ['redis.seeds must not be empty, but is ""', { redis: { seeds: '' } }],
  // Services that restart
  ['postgres.restart must be a boolean, but is "always"', { postgres: { restart: 'always' } }],
  // Templates and labels
  ['templates must be an object, but is a list', { templates: [{}] }],
  ['templates.orders must be an object, but is null', { templates: { orders: null } }],
  ['templates.constructor must be an object, but is null', { templates: { constructor: null } }],
  ['templates.__proto__ is not a name that can be given', { templates: parsed('{ "__proto__": {} }') }],
  ['templates."" is a name, which must not be empty', { templates: { '': {} } }],
  ['labels must be an object, but is a list', { labels: ['team'] }],
  ['labels.team must be a string, but is 1', { labels: { team: 1 } }],
  ['labels."" is a name, which must not be empty', { labels: { '': 'a' } }],
]

function imageFault(image: string): string {
  return `postgres.image must be the name of an image, such as "postgres:18-alpine", but is ${JSON.stringify(image)}`
}

test.for(faults)('options are refused: %s', async ([fault, options]) => {
  const error = await catchInfraError(() => resolve(options))
  expect(error.code).toBe('INFRA_CONFIG_INVALID')
  expect(error.message).toBe(
    [
      `Cannot use the options of infra(): ${fault}`,
      'Correct them; README.md, "Configuration", lists every option',
    ].join('\n'),
  )
})

// prettier-ignore
const durations = [
  '', ' ', '5', 's', '5 s', ' 5s', '5s ', '5s\n', '5s\0', '-5s', '+5s', '5S', '5sec', '5s,', '5s 3m', '.5s', '5.s',
  '1e3s', '1_000ms', '5d', '1us', 'infinity', 'NaNs', '٥s', '0s', '0ms', '0h0m0s', '0.0s', '0.999ms', '597h',
  `${'9'.repeat(400)}s`,
]

test.for(durations.flatMap((text) => ['interval', 'timeout'].map((key) => [text, key] as const)))(
  'the time %j is refused as the %s of a healthcheck',
  async ([text, key]) => {
    const error = await catchInfraError(() => resolve({ redis: { healthcheck: { [key]: text } } }))
    expect(error.code).toBe('INFRA_DURATION_INVALID')
    expect(error.message).toBe(
      [
        `Cannot read redis.healthcheck.${key}: ${JSON.stringify(text)} is not a duration from 1ms to 2147483647ms`,
        'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"',
      ].join('\n'),
    )
  },
)

/** The code, the whole message, and the options. */
const rules: readonly (readonly [
  InfraErrorCode,
  message: readonly [problem: string, remedy: string],
  options: object,
])[] = [
  ...[0, -1, 1.5, 65_536, 1e9, Infinity].map(
    (port) =>
      [
        'INFRA_PORT_INVALID',
        [`Cannot use redis.port: "${port}" is not a port`, 'Set redis.port to a whole number from 1 to 65535'],
        { redis: { port } },
      ] as const,
  ),
  [
    'INFRA_PORT_INVALID',
    [
      'Cannot publish service "redis" on port 5000: service "postgres" has it',
      "Give redis.port another number, or leave it at 'random'",
    ],
    { postgres: { port: 5000 }, redis: { port: 5000 } },
  ],
  [
    'INFRA_NAME_DUPLICATE',
    [
      'Cannot use the services "redis", "postgres", "redis": "redis" stands twice',
      'Give each of the services a name of its own',
    ],
    { services: ['redis', 'postgres', 'redis'] },
  ],
  [
    'INFRA_CONFIG_INVALID',
    [
      'Cannot use services.redis: redis is built in, and cannot be described anew',
      'Put its options under redis; services.redis: false leaves it out',
    ],
    { services: { redis: custom } },
  ],
  [
    'INFRA_PORT_INVALID',
    [
      'Cannot use services.mailpit.hostPort: "0" is not a port',
      'Set services.mailpit.hostPort to a whole number from 1 to 65535',
    ],
    { services: { mailpit: { ...custom, hostPort: 0 } } },
  ],
  [
    'INFRA_PORT_INVALID',
    [
      'Cannot publish service "mailpit" on port 5000: service "redis" has it',
      "Give mailpit.port another number, or leave it at 'random'",
    ],
    { redis: { port: 5000 }, services: { mailpit: { ...custom, hostPort: 5000 } } },
  ],
  [
    'INFRA_NAME_DUPLICATE',
    [
      'Cannot use the templates "default", "default": "default" stands twice',
      'Give each of the templates a name of its own',
    ],
    { templates: { default: {} } },
  ],
  [
    'INFRA_TEMPLATE_UNKNOWN',
    ['Cannot use template "": there are only "default"', 'Add it to templates in infra.config.ts, or correct the name'],
    { template: '' },
  ],
  [
    'INFRA_TEMPLATE_UNKNOWN',
    [
      'Cannot use template "toString": there are only "default", "orders"',
      'Add it to templates in infra.config.ts, or correct the name',
    ],
    { templates: { orders: { from: 'toString' } } },
  ],
  [
    'INFRA_TEMPLATE_CYCLE',
    ['Cannot build template "a": it is made from itself, a ← b ← constructor ← a', 'Correct templates.a.from'],
    { templates: { a: { from: 'b' }, b: { from: 'constructor' }, constructor: { from: 'a' } } },
  ],
  [
    'INFRA_HEALTHCHECK_WINDOW',
    [
      'Cannot use the healthcheck of service "redis": 10 retries every 2s end after 20000 ms, but a cold start may take 60000 ms',
      'Raise redis.healthcheck.retries or interval, or lower startupTimeoutMs',
    ],
    { redis: { healthcheck: { interval: '2s', retries: 10 } } },
  ],
]

test.for(rules)('%s: %j', async ([code, message, options]) => {
  const error = await catchInfraError(() => resolve(options))
  expect(error.code).toBe(code)
  expect(error.message).toBe(message.join('\n'))
})

test.for([{}, { CI: 'true' }])('an invalid keepAlive is refused, with %o too', async (process) => {
  const error = await catchInfraError(() => resolve({ keepAlive: 'long' }, { process }))
  expect(error).toMatchObject({
    code: 'INFRA_DURATION_INVALID',
    message:
      'Cannot read keepAlive: "long" is not a duration from 1ms to 2147483647ms\n' +
      'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"',
  })
})

test('all faults are listed at once', async () => {
  const error = await catchInfraError(() =>
    resolve({ provider: 'x', tmp: 1, verbose: true, redis: { args: 1, user: 'a' } }),
  )
  expect(error.message.split('\n')[0]).toBe(
    'Cannot use the options of infra(): provider must be "auto" or "docker" or "embedded" or "external", but is "x"; ' +
      'tmp is not an option; verbose is not an option; redis.args must be a list, but is 1; redis.user is not an option',
  )
})

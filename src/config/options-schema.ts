import * as v from 'valibot'
import { InfraError } from '../errors.ts'
import { LONGEST_MS } from '../internal/duration.ts'
import { describeFaults } from './describe-fault.ts'
import type { InfraOptions } from './infra-options.ts'
import { record, shape } from './object-shape.ts'

const EMPTY = 'must not be empty'

/**
 * Text without NUL, at which processes, files and servers cut it off, and without lone surrogates, which URLs cannot
 * contain.
 */
export const text = v.pipe(
  v.string(),
  v.check((given) => !given.includes('\0'), 'must not contain a NUL character'),
  v.check((given) => given.isWellFormed(), 'must not contain half a character (a lone surrogate)'),
)

export const filled = v.pipe(
  text,
  v.check((given) => given.trim() !== '', EMPTY),
)

/** A single line, because PostgreSQL's image passes the password to `initdb` as a line. */
const password = v.pipe(text, v.nonEmpty(EMPTY), v.regex(/^[^\r\n]*$/, 'must be a single line'))

const name = v.pipe(
  filled,
  v.regex(/^[^\r\n]*$/, 'must be a single line'),
  v.maxBytes(63, 'must not be longer than 63 bytes'),
)

const role = v.pipe(name, v.regex(/^(?!pg_)/, 'must not begin with "pg_", which PostgreSQL keeps for itself'))

const database = v.pipe(
  name,
  v.regex(/^(?!template[01]$)/, 'must not be one of the templates that PostgreSQL has itself'),
  v.regex(/^(?!\.{1,2}$)/, 'must not be "." or "..", which no URL can name'),
)

const NAME_PART = '[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*'
const REGISTRY = String.raw`(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?`
const IMAGE = new RegExp(
  String.raw`^(?:${REGISTRY}/)?${NAME_PART}(?:/${NAME_PART})*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`,
)

/**
 * An image name in the container engine's grammar. Without this check, the engine would reject the name when other
 * services are already running.
 */
const image = v.pipe(v.string(), v.regex(IMAGE, 'must be the name of an image, such as "postgres:18-alpine"'))

export const positive = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
  v.maxValue(LONGEST_MS, `must be at most ${LONGEST_MS}`),
)

const port = v.union([v.literal('random'), v.literal('env'), v.number()], 'must be "random", "env" or a number')

const portNumber = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
  v.maxValue(65_535, 'must be at most 65535'),
)

/**
 * The name of a user-defined service. It is part of the names of containers, variables and compose services; the test
 * profile of compose appends "-test".
 */
const serviceName = v.pipe(
  v.string(),
  v.regex(/^[a-z](?:-?[a-z0-9])*$/, 'is not the name of a service: small letters, digits, and "-" between them'),
  v.maxLength(40, 'is longer than 40 characters'),
  v.check((given) => !given.endsWith('-test'), 'is not the name of a service: those in "-test" are compose\'s'),
  v.check((given) => given !== 'db', 'is not the name of a service: DB_HOST and DB_PORT lead to PostgreSQL'),
)

const variableName = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'is not the name of a variable'))

const RESERVED_SETTING = /^(?:port|listen_addresses|data_directory)$/i

const settingName = v.pipe(
  v.string(),
  v.regex(/^[a-z_][\w$]*(?:\.[a-z_][\w$]*)*$/i, 'is not the name of a setting'),
  v.check((given) => !RESERVED_SETTING.test(given), 'is set by vitest-infra itself'),
)

const RESERVED_ARGUMENT = /^\s*--(?:port|bind|requirepass|daemonize)(?![\w-])/i

const redisArgument = v.pipe(
  text,
  v.check(
    (given) => !RESERVED_ARGUMENT.test(given),
    'must leave port, bind, requirepass and daemonize to vitest-infra',
  ),
)

const labels = record(filled, text)
const paths = v.union([filled, v.array(filled)])

const step = shape({ name: filled, key: filled, files: v.array(filled), run: v.function() }, ['name', 'files', 'run'])
const seed = v.union([filled, v.function(), step], 'must be a path, a function or a step')
const seeds = v.union([seed, v.array(seed)], 'must be a path, a function, a step, or a list of them')
const sources = { extensions: v.array(name), migrations: seeds, seeds }

const healthcheck = { cmd: filled, interval: v.string(), timeout: v.string(), retries: positive }
const service = { image, port, healthcheck: shape(healthcheck), labels, restart: v.boolean() }

const custom = shape(
  {
    image,
    port: portNumber,
    healthcheck: shape(healthcheck, ['cmd']),
    env: v.function(),
    environment: record(variableName, text),
    command: v.array(text),
    hostPort: port,
    labels,
    restart: v.boolean(),
  },
  ['image', 'port', 'healthcheck'],
)

const NO_SERVICES = 'must be a list of "postgres" and "redis", or an object of services'
const customOrNot = v.lazy((given) => (given === false ? v.literal(false) : custom))
const services = v.lazy((given) => {
  if (Array.isArray(given)) {
    return v.array(v.picklist(['postgres', 'redis']))
  }
  const isObject = typeof given === 'object' && given !== null
  return isObject ? record(serviceName, customOrNot) : v.custom(() => false, NO_SERVICES)
})

const schema = shape({
  provider: v.picklist(['auto', 'docker', 'embedded', 'external']),
  services,
  postgres: shape({
    ...service,
    user: role,
    password,
    database,
    settings: record(settingName, v.union([text, v.number(), v.boolean()])),
    initdbArgs: text,
    isolation: v.picklist(['database', 'server', 'schema']),
    ...sources,
  }),
  redis: shape({
    ...service,
    args: v.array(redisArgument),
    binary: filled,
    isolation: v.picklist(['server', 'database']),
    seeds: paths,
  }),
  external: shape({
    postgres: filled,
    redis: filled,
    services: record(serviceName, filled),
    allowedHosts: v.array(filled),
  }),
  isolation: v.picklist(['file', 'worker', 'shared']),
  templates: record(name, shape({ from: v.string(), ...sources })),
  template: v.string(),
  snapshot: v.boolean(),
  keepAlive: v.union([v.string(), v.literal(false)], 'must be a duration such as "30m", or false'),
  labels,
  startupTimeoutMs: positive,
  libpqEnv: v.boolean(),
  env: v.function(),
})

/** Returns the options; throws `INFRA_CONFIG_INVALID` with all errors if they are invalid. */
export function assertOptions(options: unknown, source: string): InfraOptions {
  assertShape(schema, options, {
    subject: `the options of ${source}`,
    remedy: 'Correct them; README.md, "Configuration", lists every option',
  })
  return options as InfraOptions
}

/** Checks an option that was read from a variable. `place` is the variable's name and the place where it is set. */
export function assertVariable(options: InfraOptions, place: string): void {
  assertShape(schema, options, {
    subject: place,
    remedy: `Correct ${place}; README.md, "Configuration", lists every variable`,
  })
}

/** Throws `INFRA_CONFIG_INVALID` unless `input` matches the schema `expected`. */
export function assertShape(
  expected: v.GenericSchema,
  input: unknown,
  about: { readonly subject: string; readonly remedy: string },
): void {
  const { issues } = v.safeParse(expected, input)
  if (issues) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${about.subject}: ${describeFaults(issues)}`,
      remedy: about.remedy,
    })
  }
}

import * as v from 'valibot'
import { LONGEST_MS } from '../internal/duration.ts'

const EMPTY = 'must not be empty'

/** Neither processes nor files nor servers take text any further than to a NUL, and URLs cannot hold half a character. */
export const text = v.pipe(
  v.string(),
  v.check((given) => !given.includes('\0'), 'must not contain a NUL character'),
  v.check((given) => given.isWellFormed(), 'must not contain half a character (a lone surrogate)'),
)

export const filled = v.pipe(
  text,
  v.check((given) => given.trim() !== '', EMPTY),
)

/** The image of PostgreSQL hands it to `initdb` as a line. */
export const password = v.pipe(text, v.nonEmpty(EMPTY), v.regex(/^[^\r\n]*$/, 'must be a single line'))

export const name = v.pipe(
  filled,
  v.regex(/^[^\r\n]*$/, 'must be a single line'),
  v.maxBytes(63, 'must not be longer than 63 bytes'),
)

export const role = v.pipe(name, v.regex(/^(?!pg_)/, 'must not begin with "pg_", which PostgreSQL keeps for itself'))

export const database = v.pipe(
  name,
  v.regex(/^(?!template[01]$)/, 'must not be one of the templates that PostgreSQL has itself'),
  v.regex(/^(?!\.{1,2}$)/, 'must not be "." or "..", which no URL can name'),
)

const NAME_PART = '[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*'
const REGISTRY = String.raw`(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?`
const IMAGE = new RegExp(
  String.raw`^(?:${REGISTRY}/)?${NAME_PART}(?:/${NAME_PART})*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`,
)

/** As the container engine's own grammar has it, which would refuse anything else when other services run already. */
export const image = v.pipe(v.string(), v.regex(IMAGE, 'must be the name of an image, such as "postgres:18-alpine"'))

export const positive = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
  v.maxValue(LONGEST_MS, `must be at most ${LONGEST_MS}`),
)

export const port = v.union([v.literal('random'), v.literal('env'), v.number()], 'must be "random", "env" or a number')

export const portNumber = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(1, 'must be at least 1'),
  v.maxValue(65_535, 'must be at most 65535'),
)

/** It becomes a part of names of containers, of services in compose, whose test profile appends "-test", and of variables. */
export const serviceName = v.pipe(
  v.string(),
  v.regex(/^[a-z](?:-?[a-z0-9])*$/, 'is not the name of a service: small letters, digits, and "-" between them'),
  v.maxLength(40, 'is longer than 40 characters'),
  v.check((given) => !given.endsWith('-test'), 'is not the name of a service: those in "-test" are compose\'s'),
  v.check((given) => given !== 'db', 'is not the name of a service: DB_HOST and DB_PORT lead to PostgreSQL'),
)

export const variableName = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'is not the name of a variable'))

const RESERVED_SETTING = /^(?:port|listen_addresses|data_directory)$/i

export const settingName = v.pipe(
  v.string(),
  v.regex(/^[a-z_][\w$]*(?:\.[a-z_][\w$]*)*$/i, 'is not the name of a setting'),
  v.check((given) => !RESERVED_SETTING.test(given), 'is set by vitest-infra itself'),
)

const RESERVED_ARGUMENT = /^\s*--(?:port|bind|requirepass|daemonize)(?![\w-])/i

export const redisArgument = v.pipe(
  text,
  v.check(
    (given) => !RESERVED_ARGUMENT.test(given),
    'must leave port, bind, requirepass and daemonize to vitest-infra',
  ),
)

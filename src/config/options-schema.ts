import * as v from 'valibot'
import { InfraError } from '../errors.ts'
import { describeFaults } from './describe-fault.ts'
import type { InfraOptions } from './infra-options.ts'
import { record, shape } from './object-shape.ts'
import {
  database,
  filled,
  image,
  name,
  password,
  port,
  portNumber,
  positive,
  redisArgument,
  role,
  serviceName,
  settingName,
  text,
  variableName,
} from './option-values.ts'

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

/** Throws `INFRA_CONFIG_INVALID`, listing every fault at once, unless `options` has the shape of `InfraOptions`. */
export function assertOptions(options: unknown, source: string): asserts options is InfraOptions {
  assertShape(schema, options, {
    subject: `the options of ${source}`,
    remedy: 'Correct them; README.md, "Configuration", lists every option',
  })
}

/** The same for options that a variable holds; `place` is its name, and where it was set. */
export function assertVariable(options: InfraOptions, place: string): void {
  assertShape(schema, options, {
    subject: place,
    remedy: `Correct ${place}; README.md, "Configuration", lists every variable`,
  })
}

/** Throws `INFRA_CONFIG_INVALID` unless `input` is as `expected`. */
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

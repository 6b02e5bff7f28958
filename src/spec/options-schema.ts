import * as v from 'valibot'
import { InfraError } from '../errors.ts'
import type { InfraOptions } from './infra-options.ts'

const labels = v.record(v.string(), v.string())
const paths = v.union([v.string(), v.array(v.string())])

const healthcheck = v.partial(
  v.strictObject({
    cmd: v.pipe(v.string(), v.nonEmpty('must not be empty')),
    interval: v.string(),
    timeout: v.string(),
    retries: v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1')),
  }),
)

const service = {
  image: v.pipe(v.string(), v.regex(/^\S+$/, 'must be an image name without spaces')),
  port: v.union([v.literal('random'), v.literal('env'), v.number()], 'must be "random", "env" or a number'),
  healthcheck,
  labels,
}

const name = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxBytes(63, 'must not be longer than 63 bytes'))

const seed = v.union([
  v.string(),
  v.function(),
  v.strictObject({ name: v.string(), files: v.array(v.string()), run: v.function() }),
])
const seeds = v.union([seed, v.array(seed)])
const sources = { extensions: v.array(v.string()), migrations: seeds, seeds }

const schema = v.partial(
  v.strictObject({
    provider: v.picklist(['auto', 'docker']),
    services: v.array(v.picklist(['postgres', 'redis'])),
    postgres: v.partial(
      v.strictObject({
        ...service,
        user: name,
        password: v.pipe(v.string(), v.nonEmpty('must not be empty')),
        database: name,
        settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
        initdbArgs: v.string(),
        ...sources,
      }),
    ),
    redis: v.partial(
      v.strictObject({
        ...service,
        args: v.array(v.string()),
        isolation: v.picklist(['server', 'database']),
        seeds: paths,
      }),
    ),
    isolation: v.picklist(['file', 'worker', 'shared']),
    templates: v.record(name, v.partial(v.strictObject({ from: v.string(), ...sources }))),
    template: v.string(),
    labels,
    startupTimeoutMs: v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1')),
    libpqEnv: v.boolean(),
    env: v.function(),
  }),
)

/** Throws `INFRA_CONFIG_INVALID`, listing every fault at once, unless `options` has the shape of `InfraOptions`. */
export function assertOptions(options: unknown, source: string): asserts options is InfraOptions {
  const result = v.safeParse(schema, options)
  if (!result.success) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use the options of ${source}: ${result.issues.map(describe).join('; ')}`,
      remedy: 'Correct them; README.md, "Configuration", lists every option',
    })
  }
}

function describe(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? 'the whole'
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    return `${path} is not an option`
  }
  if (issue.type === 'strict_object') {
    return `${path} must be an object, but is ${issue.received}`
  }
  const text = issue.message.startsWith('Invalid') ? `must be ${issue.expected}` : issue.message
  return `${path} ${text}, but is ${issue.received}`
}

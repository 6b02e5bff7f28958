import * as v from 'valibot'
import { InfraError } from '../errors.ts'
import type { InfraOptions } from './infra-options.ts'

const NOT_AN_OPTION = 'is not an option'
const SECRET = /(^|\.)password$|^external\.(?:postgres|redis)$/

const labels = v.record(v.string(), v.string())
const paths = v.union([v.string(), v.array(v.string())])
const name = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxBytes(63, 'must not be longer than 63 bytes'))
const positive = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'))

const seed = v.union([
  v.string(),
  v.function(),
  v.strictObject({ name: v.string(), files: v.array(v.string()), run: v.function() }),
])
const seeds = v.union([seed, v.array(seed)])
const sources = { extensions: v.array(v.string()), migrations: seeds, seeds }

const service = {
  image: v.pipe(v.string(), v.regex(/^\S+$/, 'must be an image name without spaces')),
  port: v.union([v.literal('random'), v.literal('env'), v.number()], 'must be "random", "env" or a number'),
  healthcheck: shape({
    cmd: v.pipe(v.string(), v.nonEmpty('must not be empty')),
    interval: v.string(),
    timeout: v.string(),
    retries: positive,
  }),
  labels,
}

const schema = shape({
  provider: v.picklist(['auto', 'docker', 'embedded', 'external']),
  services: v.array(v.picklist(['postgres', 'redis'])),
  postgres: shape({
    ...service,
    user: name,
    password: v.pipe(v.string(), v.nonEmpty('must not be empty')),
    database: name,
    settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
    initdbArgs: v.string(),
    isolation: v.picklist(['database', 'server']),
    ...sources,
  }),
  redis: shape({
    ...service,
    args: v.array(v.string()),
    binary: v.pipe(v.string(), v.nonEmpty('must not be empty')),
    isolation: v.picklist(['server', 'database']),
    seeds: paths,
  }),
  external: shape({ postgres: v.string(), redis: v.string(), allowedHosts: v.array(v.string()) }),
  isolation: v.picklist(['file', 'worker', 'shared']),
  templates: v.record(name, shape({ from: v.string(), ...sources })),
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
  const result = v.safeParse(schema, options)
  if (!result.success) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use the options of ${source}: ${result.issues.flatMap(innermost).map(describe).join('; ')}`,
      remedy: 'Correct them; README.md, "Configuration", lists every option',
    })
  }
}

/** An object whose entries may all be left out, and that names every key that is not one of them, not only the first. */
function shape<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.pipe(
    v.partial(v.looseObject(entries)),
    v.rawCheck(({ dataset, addIssue }) => {
      const input = dataset.value as Record<string, unknown> | null
      if (typeof input !== 'object' || input === null) {
        return
      }
      if (Array.isArray(input)) {
        addIssue({ message: 'must be an object, but is a list' })
        return
      }
      for (const key of Object.keys(input).filter((known) => !Object.hasOwn(entries, known))) {
        addIssue({ message: NOT_AN_OPTION, path: [{ type: 'object', origin: 'value', input, key, value: input[key] }] })
      }
    }),
  )
}

/** Of an input that fits no member of a union, the faults that lie deepest say what was meant. */
function innermost(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown>[] {
  const deeper = (issue.issues ?? []).filter(({ path }) => (path?.length ?? 0) > 0)
  if (deeper.length === 0) {
    return [issue]
  }
  const prefix = issue.path ?? []
  return deeper.flatMap((inner) => innermost({ ...inner, path: [...prefix, ...(inner.path ?? [])] as never }))
}

function describe(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? 'the whole'
  if (issue.message === NOT_AN_OPTION) {
    return `${path} ${NOT_AN_OPTION}`
  }
  if (issue.input === undefined) {
    return `${path} is missing`
  }
  const text = issue.message.startsWith('Invalid') ? `must be ${inWords(issue.expected)}` : issue.message
  const isWhole = SECRET.test(path) || text.includes('but is')
  return isWhole ? `${path} ${text}` : `${path} ${text}, but is ${show(issue.input)}`
}

/** `("auto" | "docker")` → `"auto" or "docker"` */
function inWords(expected: string | null): string {
  return (expected ?? 'something else')
    .replaceAll(/[()]/g, '')
    .replaceAll(' | ', ' or ')
    .replaceAll('Object', 'an object')
    .replaceAll('Array', 'a list')
    .replaceAll('Function', 'a function')
    .replaceAll(/\b(string|number|boolean)\b/g, 'a $1')
}

function show(input: unknown): string {
  if (typeof input === 'function') {
    return 'a function'
  }
  if (typeof input === 'object' && input !== null) {
    return Array.isArray(input) ? 'a list' : 'an object'
  }
  return JSON.stringify(input) ?? String(input)
}

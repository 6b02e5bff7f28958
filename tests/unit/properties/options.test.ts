import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LONGEST_MS, parseDurationMs } from '../../../src/internal/duration.ts'
import { parsePort } from '../../../src/config/rules.ts'
import { resolve } from '../support/resolve.ts'
import { forAll, textOf, unlessRefused } from './for-all.ts'

const UNITS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const
type Unit = keyof typeof UNITS

const parts = fc.array(fc.tuple(fc.nat(500), fc.constantFrom(...(Object.keys(UNITS) as Unit[]))), { minLength: 1 })

test(
  'a duration is the sum of its parts, or is refused',
  forAll(parts, (given) => {
    const text = given.map(([amount, unit]) => `${amount}${unit}`).join('')
    const sum = given.reduce((total, [amount, unit]) => total + amount * UNITS[unit], 0)
    const isInRange = sum >= 1 && sum <= LONGEST_MS
    expect(unlessRefused(() => parseDurationMs(text, 'x'))).toBe(isInRange ? sum : undefined)
  }),
)

const durationTexts = textOf('1', '0', '90', '.', '5', 'ms', 's', 'm', 'h', ' ', '-', 'e')

test(
  'whatever is read as a duration is one that a timer and the engine can take',
  forAll(durationTexts, (text) => {
    const ms = unlessRefused(() => parseDurationMs(text, 'x')) ?? 1
    expect(ms).toBeGreaterThanOrEqual(1)
    expect(ms).toBeLessThanOrEqual(LONGEST_MS)
    // Whole nanoseconds.
    expect(Number(ms.toFixed(6))).toBe(ms)
  }),
)

test(
  'a port is read back, or refused',
  forAll(fc.oneof(fc.integer(), fc.double(), fc.nat(70_000)), (given) => {
    const isPort = Number.isInteger(given) && given >= 1 && given <= 65_535
    expect(unlessRefused(() => parsePort(given, 'x'))).toBe(isPort ? given : undefined)
    expect(unlessRefused(() => parsePort(String(given), 'x'))).toBe(isPort ? given : undefined)
  }),
)

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
})

test(
  'options of any kind are taken or refused, and nothing else happens',
  forAll(anything, (options) => {
    expect(() => unlessRefused(() => resolve(options))).not.toThrow()
  }),
)

// prettier-ignore
const PATHS = [
  'provider', 'services', 'postgres', 'redis', 'external', 'isolation', 'templates', 'template', 'labels', 'env',
  'startupTimeoutMs', 'libpqEnv', 'snapshot', 'redis.args', 'redis.seeds', 'redis.binary', 'redis.healthcheck',
  'postgres.image', 'postgres.port', 'postgres.user', 'postgres.password', 'postgres.database', 'postgres.seeds',
  'postgres.settings', 'postgres.settings.jit', 'postgres.extensions', 'postgres.migrations', 'postgres.labels',
  'postgres.healthcheck.interval', 'postgres.healthcheck.retries', 'templates.a', 'templates.a.from',
  'templates.constructor', 'templates.a.seeds', 'postgres.seeds.files', 'external.postgres', 'external.allowedHosts',
  'labels.__proto__', 'labels.toString', 'postgres.__proto__', '__proto__', 'constructor',
]

/** Options with `value` at the end of a path, where `__proto__` is a normal key. */
function optionsWith(path: string, value: unknown): unknown {
  const [key = '', ...rest] = path.split('.')
  return Object.fromEntries([[key, rest.length === 0 ? value : optionsWith(rest.join('.'), value)]])
}

test(
  'an option of any kind is taken or refused, at every key',
  forAll(
    fc.tuple(fc.constantFrom(...PATHS), anything),
    ([path, value]) => {
      expect(() => unlessRefused(() => resolve(optionsWith(path, value)))).not.toThrow()
    },
    { runs: 2_000 },
  ),
)

test(
  'no option reaches the prototype of all objects',
  forAll(anything, (value) => {
    unlessRefused(() => resolve(optionsWith('labels.__proto__', value)))
    unlessRefused(() => resolve(optionsWith('templates.__proto__.from', value)))
    expect(Object.keys(Object.getPrototypeOf({}) as object)).toEqual([])
  }),
)

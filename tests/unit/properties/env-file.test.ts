import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createVariableLookup } from '../../../src/environment/environment-layers.ts'
import { resolve } from '../support/resolve.ts'
import { anyText, forAll, textOf, unlessRefused } from './for-all.ts'

const NAMES = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB', 'POSTGRES_PORT', 'VITEST_INFRA_PROVIDER'] as const

/** A value in quotes of the first kind that is not in it; dotenv has no way to write one with all three. */
function quoteValue(value: string): string | undefined {
  const quote = ["'", '`'].find((kind) => !value.includes(kind))
  return quote && `${quote}${value}${quote}`
}

const values = anyText.map((text) => text.replaceAll('\r', '')).filter((text) => quoteValue(text) !== undefined)
const variables = fc.dictionary(fc.constantFrom(...NAMES), values)
const noise = fc.array(
  fc.constantFrom('', '# POSTGRES_USER=none', 'OTHER="a\nPOSTGRES_DB=none\nPOSTGRES_PORT=9\n"', 'some prose', 'A=1'),
)

test(
  'what is written to a .env is read from it',
  forAll(fc.tuple(variables, noise, noise), ([given, before, after]) => {
    const lines = Object.entries(given).map(([name, value]) => `${name}=${quoteValue(value)}`)
    const envFile = [...before, ...lines, ...after].join('\n')
    const lookup = createVariableLookup({ process: {}, envFile })
    // An empty value counts as none.
    expect(NAMES.map((name) => lookup(name) ?? '')).toEqual(NAMES.map((name) => given[name] ?? ''))
  }),
)

test(
  'the line of a variable is the one that sets it',
  forAll(fc.tuple(noise, noise), ([before, after]) => {
    const place = [...before, ''].join('\n').split('\n').length
    const envFile = [...before, 'export POSTGRES_PORT = none', ...after].join('\n')
    const lookup = createVariableLookup({ process: {}, envFile })
    expect(lookup.placeOf('POSTGRES_PORT')).toBe(`POSTGRES_PORT (.env:${place})`)
  }),
)

const envTexts = textOf(
  ...NAMES,
  '=',
  ':',
  '"',
  "'",
  '`',
  '\n',
  '\r\n',
  '#',
  ' ',
  'export ',
  'docker',
  '5432',
  '\ufeff',
)

test(
  'a .env of any text is taken or refused, and nothing else happens',
  forAll(
    envTexts,
    (envFile) => {
      expect(() => unlessRefused(() => resolve({ postgres: { port: 'env' } }, { envFile }))).not.toThrow()
      expect(() => unlessRefused(() => resolve({ provider: 'external' }, { envExample: envFile }))).not.toThrow()
    },
    { runs: 1_000 },
  ),
)

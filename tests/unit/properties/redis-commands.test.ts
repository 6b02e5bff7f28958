import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRedisCommands } from '../../../src/seeds/redis-commands.ts'
import { anyText, forAll, textOf, unlessRefused } from './for-all.ts'

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '"': '\\"', '\\': '\\\\' }
const escape = (text: string) => text.replaceAll(/[\n\r"\\]/g, (one) => ESCAPES[one] ?? one)

/** An argument, and the ways to write it. */
const argument = fc.oneof(
  anyText.map((text) => ({ value: text as string | Buffer, written: `"${escape(text)}"` })),
  fc
    .uint8Array({ minLength: 1 })
    .map((bytes) => Buffer.from(bytes))
    .map((value) => ({
      value,
      written: `"${[...value].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`,
    })),
  anyText
    .filter((text) => !/[\n\r\\]/.test(text))
    .map((text) => ({ value: text, written: `'${text.replaceAll("'", "\\'")}'` })),
  fc
    .constantFrom('a', 'key:1', '{"a":1}'.replaceAll('"', ''), '-1', 'größe')
    .map((text) => ({ value: text, written: text })),
)
const command = fc.tuple(
  fc.constantFrom('SET', 'HSET', 'EVAL').map((text) => ({ value: text, written: text })),
  fc.array(argument),
  fc.constantFrom(' ', '\t', '   '),
)
const skipped = fc.constantFrom('', '# SET "a', '   ', '\t# more', '\r')
const lines = fc.array(fc.oneof(command, skipped))

test(
  'the commands that are written are read, on their lines',
  forAll(lines, (given) => {
    const text = given
      .map((line) =>
        typeof line === 'string' ? line : [line[0], ...line[1]].map(({ written }) => written).join(line[2]),
      )
      .join('\n')
    const expected = given.flatMap((line, index) =>
      typeof line === 'string' ? [] : [{ args: [line[0], ...line[1]].map(({ value }) => value), line: index + 1 }],
    )
    expect(parseRedisCommands(text, 'a.redis')).toEqual(expected)
  }),
)

test(
  'any text is read or refused, and nothing else happens',
  forAll(
    textOf('SET', ' ', '"', "'", '\\', '\\x4', 'f', '\n', '\r', '#', '\t', '\ufeff'),
    (text) => {
      for (const { args } of unlessRefused(() => parseRedisCommands(text, 'a.redis')) ?? []) {
        expect(args.length).toBeGreaterThan(0)
      }
    },
    { runs: 1_000 },
  ),
)

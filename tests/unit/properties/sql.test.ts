import fc from 'fast-check'
import pg from 'pg'
import { expect, test } from 'vitest'
import { splitDump } from '../../../src/migrations/dump-parts.ts'
import { splitSqlStatements } from '../../../src/seeds/sql-statements.ts'
import { quote } from '../../../src/services/postgres-admin.ts'
import { anyText, forAll, textOf, unlessRefused } from './for-all.ts'

/** A tag that does not occur in a text, as one chooses it. */
function dollarQuote(text: string): string {
  const tag = ['$$', '$a$', '$body_1$'].find((each) => !`${text}$`.includes(each.slice(0, -1))) ?? '$unlikely_tag$'
  return `${tag}${text}${tag}`
}

const inner = textOf(';', "'", '"', '\\', '$$', '$a$', '--', '/*', '*/', '\n', 'end', '(', ')', 'BEGIN')
const word = fc.constantFrom('SELECT', 'a', 'x1', '5', '1.5', '=', ',', 'e', '$1', 'a$b', 'LIKE', 'AS')
const blank = fc.constantFrom(' ', '\n', '\t', ' -- a; comment\n', ' /* a; /* nested; */ comment */ ')
const pieces = fc.oneof(
  word,
  // Two strings with a line break between them would be one.
  inner.map((text) => `${pg.escapeLiteral(text).trim()},`),
  inner.map((text) => `'${text.replaceAll("'", "''")}',`),
  inner.map((text) => quote(text)),
  inner.map(dollarQuote),
  fc.array(word, { minLength: 1 }).map((words) => `(${words.join('; ')})`),
)
/** One statement, whatever it contains. */
const statement = fc
  .array(fc.tuple(blank, pieces), { maxLength: 8 })
  .map((rest) => `SELECT${rest.map(([space, piece]) => `${space}${piece}`).join('')}`)

test(
  'statements that are joined are cut again where they were joined',
  forAll(fc.array(statement), (given) => {
    const text = given.join(';\n')
    const cut = splitSqlStatements(text)
    expect(cut.map((one) => one.text)).toEqual(given)
    for (const one of cut) {
      expect(text.slice(one.offset, one.offset + one.text.length)).toBe(one.text)
      expect(one.line).toBe(text.slice(0, one.offset).split('\n').length)
    }
  }),
)

// prettier-ignore
const sqlTexts = textOf(
  ';', "'", "E'", '"', '\\', '\\i', '$$', '$a$', '--', '/*', '*/', '\n', '\r\n', ' ', '(', ')', 'CASE', 'END',
  'CREATE', 'BEGIN ATOMIC', 'COPY a ', 'FROM stdin', '\n\\.\n', '\\restrict', '\ufeff', 'SELECT',
)

test(
  'any text is cut or refused, and what is cut stands in it, in its order',
  forAll(
    sqlTexts,
    (text) => {
      for (const cut of [() => splitSqlStatements(text), () => splitDump({ name: 'a.sql', text })]) {
        let end = 0
        for (const one of unlessRefused(cut) ?? []) {
          expect(one.offset).toBeGreaterThanOrEqual(end)
          expect(text.slice(one.offset, one.offset + one.text.length)).toBe(one.text)
          end = one.offset + one.text.length
        }
      }
    },
    { runs: 1_000 },
  ),
)

/** Rows as COPY writes them, with its own escapes for delimiters. */
const rows = fc.array(
  inner.map((text) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')),
)

test(
  'a dump keeps the rows of each COPY, whatever is in them',
  forAll(fc.array(fc.tuple(statement, rows)), (given) => {
    const text = given
      .map(([sql, lines]) => `${sql};\nCOPY a FROM stdin;\n${lines.map((line) => `${line}\n`).join('')}\\.\n\n`)
      .join('')
    const parts = splitDump({ name: 'a.sql', text })
    const read = parts.map((part) => (part.rows ? text.slice(part.rows.start, part.rows.end) : part.text))
    expect(read).toEqual(given.flatMap(([sql, lines]) => [sql, lines.map((line) => `${line}\n`).join('')]))
  }),
)

test(
  'a quoted name is one identifier, as pg quotes it',
  forAll(fc.oneof(anyText, inner), (name) => {
    expect(quote(name)).toBe(pg.escapeIdentifier(name))
    expect(splitSqlStatements(`DROP DATABASE ${quote(name)}; SELECT 1`).map(({ text }) => text)).toEqual([
      `DROP DATABASE ${quote(name)}`,
      'SELECT 1',
    ])
  }),
)

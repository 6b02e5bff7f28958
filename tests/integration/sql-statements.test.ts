import { Client, type QueryResult } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { splitSqlStatements } from '../../src/seeds/sql-statements.ts'

const NASTY = [
  ';',
  "'",
  '"',
  '\\',
  '$',
  '$$',
  '$a$',
  '$1',
  '--',
  '/*',
  '*/',
  '\n',
  '\r\n',
  ' ',
  'x',
  'E',
  'é',
  '😀',
  '(',
  ')',
]
const BLANKS = [' ', '\n', '\t', '\r\n', ' /* ; \' $$ /* " */ ; */ ', " -- ;'$a$ /*\n"]
const TAGS = ['$$', '$a$', '$tag_1$', '$é$']

type Random = <T>(choices: readonly T[]) => T

/** Picks the same for the same seed (mulberry32). */
function createRandom(seed: number): Random {
  let state = seed
  return (choices) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return choices[((mixed ^ (mixed >>> 14)) >>> 0) % choices.length] as (typeof choices)[number]
  }
}

function createText(random: Random): string {
  return Array.from({ length: random([0, 1, 2, 3, 5, 8]) }, () => random(NASTY)).join('')
}

const plain = (text: string): string => `'${text.replaceAll("'", "''")}'`
const escaped = (text: string, quote: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", quote)}'`

function renderLiteral(text: string, random: Random): string {
  const tags = TAGS.filter((tag) => `${text}${tag}`.indexOf(tag) === text.length)
  const backslashed = escaped(text, "\\'")
  return random([
    plain(text),
    `E${backslashed}`,
    `e${escaped(text, "''")}`,
    `${random(['E', 'e'])}${backslashed} -- '\n ${backslashed}`,
    ...tags.map((tag) => `${tag}${text}${tag}`),
  ])
}

function renderStatement(random: Random): string {
  const blank = (): string => random(BLANKS)
  const literal = renderLiteral(createText(random), random)
  const name = `"n${createText(random).replaceAll('"', '""')}"`
  const cases = `CASE${blank()}WHEN true THEN (CASE 1 WHEN 1 THEN ${literal} END)${blank()}END`
  const body = `BEGIN${blank()}ATOMIC SELECT ${cases} AS end;${blank()}SELECT${blank()}${cases};${blank()}END`
  return random([
    `SELECT${blank()}${literal}${blank()}AS${blank()}${name}`,
    `SELECT${blank()}${cases}${blank()}AS a$b$, 2*/* ; */3`,
    `CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql${blank()}${body}`,
    `DO${blank()}$do$ BEGIN PERFORM ${literal}; END; $do$`,
    `CREATE OR REPLACE RULE r AS ON DELETE TO t DO ALSO${blank()}(SELECT ${literal};${blank()}NOTIFY x;)`,
    'BEGIN',
    'END',
    '',
  ])
}

function summarise(results: QueryResult | QueryResult[]): unknown[] {
  return [results].flat().map(({ command, rows }) => ({ command, rows: rows as unknown }))
}

test('splitSqlStatements() splits as the server does', { timeout: 60_000 }, async () => {
  const client = new Client({ connectionString: process.env['DATABASE_URL'] })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('CREATE TEMPORARY TABLE t (id int)')
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = createRandom(seed)
    const parts = Array.from({ length: random([1, 2, 4, 8]) }, () => renderStatement(random) + random(['', ...BLANKS]))
    const script = `SELECT 0;${parts.join(';')}`
    const together = summarise(await client.query(script))
    await client.query('ROLLBACK')
    const apart: unknown[] = []
    for (const { text } of splitSqlStatements(script)) {
      apart.push(summarise(await client.query(text)))
    }
    await client.query('ROLLBACK')
    // One result each: a piece with two statements in it would have two.
    expect(apart, `seed ${seed}: ${script}`).toEqual(together.map((result) => [result]))
  }
})

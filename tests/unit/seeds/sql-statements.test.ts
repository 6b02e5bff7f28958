import { expect, test } from 'vitest'
import { splitSqlStatements } from '../../../src/seeds/sql-statements.ts'

const textsOf = (sql: string): string[] => splitSqlStatements(sql).map(({ text }) => text)

// Each of these is one statement, whatever it contains.
test.each([
  ['a single-quoted string', `SELECT 'a;b'`],
  ['a doubled quote', `SELECT 'it''s; fine'`],
  ['a string that ends in a backslash', String.raw`SELECT 'C:\', ';'`],
  ['an escape string', String.raw`SELECT E'it\'s; fine'`],
  ['an escape string with a doubled quote', String.raw`SELECT e'a''b\';'`],
  ['an escape string continued on the next line', `SELECT E'a' -- more\n  'b\\';c'`],
  ['a keyword that ends in e before a string', String.raw`SELECT 'a' LIKE'\', ';'`],
  ['a quoted identifier', `SELECT 1 AS "a;""b'"`],
  ['a dollar-quoted body', 'DO $$ BEGIN PERFORM 1; END; $$'],
  ['a tagged dollar-quoted body', `DO $body$ BEGIN PERFORM $$;$$, 'it'; END; $body$`],
  ['a dollar quote with a tag in other letters', 'SELECT $éa_1$ ; $éa_1$'],
  ['a dollar quote with a near miss in it', 'SELECT $a$ $b$ $ab$ $$ ; $a$'],
  ['a line comment', `SELECT 1 -- it's; fine\n + 1`],
  ['a nested block comment', `SELECT /* a /* ; ' */ ; $$ */ 1`],
  ['a comment right after an operator', 'SELECT 2*/* ; */3'],
  ['a rule with several actions', 'CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)'],
  ['an SQL-standard body', 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END'],
  [
    'an SQL-standard body with nested CASE',
    'create or replace procedure p() begin /* ! */ atomic select case when true then case 1 when 1 then 2 end end; end',
  ],
  [
    'columns named after keywords in an SQL-standard body',
    'CREATE FUNCTION f() BEGIN ATOMIC SELECT t.end AS case; END',
  ],
])('splitSqlStatements() keeps %s whole', (_, sql) => {
  expect(textsOf(`${sql};\nSELECT 2`)).toEqual([sql, 'SELECT 2'])
})

test('splitSqlStatements() ends a transaction block at its semicolon', () => {
  expect(textsOf('BEGIN; SELECT 1; END;')).toEqual(['BEGIN', 'SELECT 1', 'END'])
})

test('splitSqlStatements() does not treat a dollar in an identifier or before a number as a quote', () => {
  expect(textsOf('SELECT a$b$; SELECT é$$; SELECT $1; SELECT c$b$, $1')).toHaveLength(4)
})

test.each(['SELECT begin atomic FROM t', 'CREATE VIEW v AS SELECT 1 AS atomic', 'CREATE TABLE begin (atomic int)'])(
  'splitSqlStatements() finds no function body in %j',
  (sql) => {
    expect(textsOf(`${sql}; SELECT 1`)).toEqual([sql, 'SELECT 1'])
  },
)

test('splitSqlStatements() returns the line of the first token', () => {
  expect(splitSqlStatements('-- a\n\nSELECT 1;\n/* b\n */ SELECT\n2')).toEqual([
    { text: 'SELECT 1', offset: 6, line: 3 },
    { text: 'SELECT\n2', offset: 25, line: 5 },
  ])
})

test('splitSqlStatements() counts CRLF as one line break and leaves it in the text', () => {
  expect(splitSqlStatements("SELECT '\r\n';\r\nSELECT 2;\r\n")).toEqual([
    { text: "SELECT '\r\n'", offset: 0, line: 1 },
    { text: 'SELECT 2', offset: 14, line: 3 },
  ])
})

test('splitSqlStatements() skips a byte order mark', () => {
  expect(splitSqlStatements('\ufeffSELECT 1')).toEqual([{ text: 'SELECT 1', offset: 1, line: 1 }])
})

test.each(['', ' \n\t', ';;\n;', '-- only a comment', '/* only /* a */ comment */', '\ufeff'])(
  'splitSqlStatements() finds nothing in %j',
  (sql) => {
    expect(splitSqlStatements(sql)).toEqual([])
  },
)

test.each(["SELECT 'a;", 'SELECT "a;', "SELECT E'a\\';", 'SELECT $$a;', '/* a;', 'SELECT (1;', 'SELECT 1); SELECT 2'])(
  'splitSqlStatements() lets PostgreSQL refuse %j',
  (sql) => {
    expect(textsOf(sql).join('; ')).toBe(sql)
  },
)

test("splitSqlStatements() skips the meta-commands around pg_dump's output", () => {
  expect(textsOf('\\restrict a8Y\n\nSELECT 1;\n\n\\unrestrict a8Y\n')).toEqual(['SELECT 1'])
})

test('splitSqlStatements() accepts a COPY that the server can run', () => {
  const sql = `COPY t FROM '/data/stdin.csv'; COPY (SELECT a FROM stdin) TO stdout`
  expect(textsOf(sql).join('; ')).toBe(sql)
})

test('splitSqlStatements() reads a large file in reasonable time', () => {
  const rows = Array.from({ length: 50_000 }, (_, id) => `INSERT INTO t VALUES (${id}, 'it''s -- row ${id};');\n`)
  const startedAt = performance.now()
  expect(splitSqlStatements(rows.join(''))).toHaveLength(rows.length)
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})

test('splitSqlStatements() does not slow down on ambiguous comments', () => {
  const sql = `SELECT E'a' ${'-- '.repeat(2_000)}\n${'-- \n'.repeat(2_000)} x`
  expect(textsOf(sql)).toEqual([sql])
})

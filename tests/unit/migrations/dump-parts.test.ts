import { expect, test } from 'vitest'
import { splitDump } from '../../../src/migrations/dump-parts.ts'

function split(text: string): string[] {
  const file = { name: 'dump.sql', text }
  return splitDump(file).map(({ text: sql, rows }) => (rows ? `${sql} <- ${text.slice(rows.start, rows.end)}` : sql))
}

test("splitDump() pairs each COPY with its rows in the file's order", () => {
  const text = 'SELECT 1;\nCOPY a (id) FROM stdin;\n1\n2\n\\.\n\nSELECT 2;\nCOPY b FROM stdin;\n\\.\n\nSELECT 3;'
  expect(split(text)).toEqual([
    'SELECT 1',
    'COPY a (id) FROM stdin <- 1\n2\n',
    'SELECT 2',
    'COPY b FROM stdin <- ',
    'SELECT 3',
  ])
})

test('splitDump() does not read SQL in rows', () => {
  expect(split("COPY a FROM stdin;\nit's; $$ /* \\connect\n\\\\.\n\\.\n")).toEqual([
    "COPY a FROM stdin <- it's; $$ /* \\connect\n\\\\.\n",
  ])
})

test('splitDump() does not read rows in SQL', () => {
  const text = "SELECT '\nCOPY a FROM stdin;\n';\nDO $$ BEGIN\nCOPY a FROM stdin;\nEND $$;\n-- COPY a FROM stdin;\n"
  expect(split(text)).toEqual(["SELECT '\nCOPY a FROM stdin;\n'", 'DO $$ BEGIN\nCOPY a FROM stdin;\nEND $$'])
})

test('splitDump() does not change a COPY from a file on the server', () => {
  expect(split("COPY a FROM '/tmp/stdin'; COPY a TO stdout;")).toEqual(["COPY a FROM '/tmp/stdin'", 'COPY a TO stdout'])
})

test('splitDump() treats \\restrict as a comment', () => {
  expect(split('\\restrict abc\nSELECT 1;\n\\unrestrict abc\n')).toEqual(['SELECT 1'])
})

test('splitDump() reads a COPY with options, and rows up to the end of the file', () => {
  expect(split('copy "from" ("a;b") from stdin with (format text);\n1\n\\.')).toEqual([
    'copy "from" ("a;b") from stdin with (format text) <- 1\n',
  ])
})

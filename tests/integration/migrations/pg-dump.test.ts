import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { pgDump, type PgDumpOptions } from '../../../src/migrations.ts'
import { buildTemplate, FIXTURES } from './build-template.ts'

/** As PostgreSQL 18's pg_dump wrote it, owned by roles that the server of this suite does not have. */
const SHOP = 'pg-dump/shop.sql'
const SHOP_TEXT = readFileSync(join(FIXTURES, SHOP), 'utf8')

async function load(text: string | Buffer, options?: PgDumpOptions) {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-dump-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'dump.sql'), text)
  return buildTemplate(pgDump('dump.sql', options), root)
}

function lineOf(text: string): number {
  return SHOP_TEXT.slice(0, SHOP_TEXT.indexOf(text)).split('\n').length
}

test('pgDump() loads rows unchanged, whatever characters they contain', async () => {
  const client = await buildTemplate(pgDump(SHOP, { missingRoles: 'skip' }))
  expect((await client.query('SELECT * FROM authors ORDER BY id')).rows).toEqual([
    {
      id: 1,
      name: 'Ada',
      mood: 'glad',
      notes: 'tab\there, line\nbreak, back\\slash, \\. and \\N',
      tags: ['a', 'b c'],
      photo: Buffer.from([0, 255, 10]),
      data: { k: 'ünï \u2028' },
    },
    { id: 2, name: 'Grace 🚀', mood: 'sad', notes: '\\.', tags: null, photo: null, data: null },
    { id: 3, name: '', mood: null, notes: null, tags: [], photo: Buffer.from([]), data: null },
  ])
  const { rows } = await client.query('SELECT title FROM books ORDER BY id')
  expect(rows.map(({ title }) => title as string)).toEqual(['Notes', 'COBOL', '; COPY books FROM stdin;\n\\.\n'])
})

test('pgDump() ignores COPY in a comment and in a function', async () => {
  const client = await buildTemplate(pgDump(SHOP, { missingRoles: 'skip' }))
  const { rows } = await client.query("SELECT obj_description('books'::regclass) AS comment")
  expect(rows).toEqual([{ comment: 'COPY books FROM stdin;\n1\tit is only a comment\n\\.\n' }])
})

test('pgDump() loads sequences, triggers, materialized views and large objects', async () => {
  const client = await buildTemplate(pgDump(SHOP, { missingRoles: 'skip' }))
  await client.query("INSERT INTO books (author_id, title) VALUES (1, 'New')")
  const { rows } = await client.query(`
    SELECT (SELECT max(id) FROM books) AS book, (SELECT count(*)::int FROM audit.log) AS logged,
      (SELECT books::int FROM shelf WHERE name = 'Ada') AS shelf, lo_get(4711) AS large`)
  expect(rows).toEqual([{ book: 4, logged: 4, shelf: 2, large: Buffer.from('large object') }])
})

test('pgDump() leaves no session state', async () => {
  const client = await buildTemplate({
    name: 'both',
    files: [],
    async run(context) {
      await pgDump(SHOP, { missingRoles: 'skip' }).run(context)
      await context.pool.query('CREATE TABLE unqualified ()')
    },
  })
  expect((await client.query("SELECT to_regclass('public.unqualified')::text AS found")).rows).toEqual([
    { found: 'unqualified' },
  ])
})

test('pgDump() fails at the first owner that the server lacks', async () => {
  const line = lineOf('ALTER SCHEMA audit OWNER')
  await expect(buildTemplate(pgDump(SHOP))).rejects.toThrow(
    `Cannot load pg-dump/shop.sql:${line}: role "dump_owner" does not exist\n` +
      `  ${line} | ALTER SCHEMA audit OWNER TO dump_owner\n` +
      'Create the role in a migration before it, dump with --no-owner --no-privileges, or skip such statements ' +
      "with: missingRoles: 'skip'",
  )
})

test('pgDump() does not skip a policy whose role is missing', async () => {
  await expect(
    load('CREATE TABLE t (); CREATE POLICY p ON t TO nobody_here;', { missingRoles: 'skip' }),
  ).rejects.toThrow(/role "nobody_here" does not exist\n.*\nCreate the role in a migration before it$/)
})

test('pgDump() loads the dump of one schema that creates public again', async () => {
  const client = await load(
    'CREATE SCHEMA public;\n\nCREATE TABLE public.t (id int);\nCOPY public.t FROM stdin;\n1\n\\.\n',
  )
  expect((await client.query('SELECT * FROM t')).rows).toEqual([{ id: 1 }])
  await expect(load('CREATE SCHEMA audit; CREATE SCHEMA audit;')).rejects.toThrow('schema "audit" already exists')
})

test('pgDump() names the line of a row that PostgreSQL refuses', async () => {
  const text = 'CREATE TABLE t (id int, at date);\n\nCOPY t FROM stdin;\n1\t2026-01-01\n2\tnever\n3\t\\N\n\\.\n'
  await expect(load(text)).rejects.toThrow(
    /^Cannot load dump\.sql:5: invalid input syntax for type date: "never"\n.*\nWhere: COPY t, line 2, column at.*\n {2}5 \| 2 never\n/,
  )
})

test('pgDump() names the line of a COPY into a missing table', async () => {
  await expect(load('SELECT 1;\n\nCOPY nowhere (id) FROM stdin;\n1\n\\.\n')).rejects.toThrow(
    'Cannot load dump.sql:3: relation "nowhere" does not exist',
  )
})

test('pgDump() loads a file with Windows line endings', async () => {
  const client = await load(
    'CREATE TABLE t (id int, s text);\r\nCOPY t FROM stdin;\r\n1\ta\r\n2\tb\r\n\\.\r\nSELECT 1;\r\n',
  )
  expect((await client.query('SELECT s FROM t ORDER BY id')).rows).toEqual([{ s: 'a' }, { s: 'b' }])
})

test('pgDump() refuses the commands of psql before anything runs', async () => {
  await expect(load('CREATE TABLE t (id int);\nCOPY t FROM stdin;\n1\n\\.\n\n\\connect shop\n')).rejects.toThrow(
    'Cannot load dump.sql:6: "\\connect" is a command of psql, not SQL',
  )
})

test('pgDump() refuses rows without an end marker', async () => {
  await expect(load('SELECT 1;\nCOPY t FROM stdin;\n1\n')).rejects.toThrow(
    'Cannot load dump.sql:2: the rows of this COPY do not end with the line "\\."\nDump again',
  )
})

test('pgDump() refuses an archive', async () => {
  await expect(load(Buffer.from('PGDMP\u0001\u0010\u0000\u0004\u00ff', 'latin1'))).rejects.toThrow(
    'Cannot load dump.sql: it is an archive of pg_dump, not SQL\nDump with --format=plain, or turn it into SQL with: ' +
      'pg_restore --file=schema.sql dump.sql',
  )
})

test('pgDump() names a missing file', async () => {
  await expect(buildTemplate(pgDump('nowhere.sql'))).rejects.toThrow(/^Cannot load nowhere\.sql: ENOENT/)
})

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planTemplates } from '../../../src/databases/plan-templates.ts'
import { splitDump } from '../../../src/migrations/dump-parts.ts'
import { pgDump, sqlFolder } from '../../../src/migrations.ts'
import { findSeedFiles } from '../../../src/seeds/find-seed-files.ts'
import { parseRedisCommands } from '../../../src/seeds/redis-commands.ts'
import { readSeedFile } from '../../../src/seeds/seed-file.ts'
import { splitSqlStatements } from '../../../src/seeds/sql-statements.ts'
import type { SeedContext, SeedStep } from '../../../src/config/infra-options.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { createProject } from '../support/create-project.ts'

type Text = string | Uint8Array

const CLOSE = 'Close each quote on its line, followed by a blank; for a line break write \\n inside double quotes'
const PSQL =
  'Write it as SQL (INSERT instead of \\copy), or remove it; ' +
  'instead of \\i, name the included file in postgres.migrations or postgres.seeds'
const INSERT = 'Write INSERT statements instead; pg_dump writes them with --rows-per-insert=1000'
const UTF_8 = 'Save the file as UTF-8'
const NUL = ['it contains a NUL character', 'Remove it; if the file is UTF-16, save it as UTF-8'] as const
const CUT_OFF = ['the rows of this COPY do not end with the line "\\."', 'Dump again: the file is incomplete'] as const

/** Reads a file as its ending says, without a server. */
async function read(root: string, name: string): Promise<unknown> {
  const service = name.endsWith('.redis') ? 'redis' : 'postgres'
  const file = await readSeedFile(join(root, name), { root, service })
  if (service === 'redis') {
    return parseRedisCommands(file.text, file.name)
  }
  return name.endsWith('.dump.sql') ? splitDump(file) : splitSqlStatements(file.text, file.name)
}

/** A file, its content, the place of the error, the reason, and the remedy. */
const files: readonly (readonly [name: string, text: Text, line: string, reason: string, remedy: string])[] = [
  // Redis: a quote that is unclosed on its line, or closed within a word
  ...[
    'SET a "b',
    "SET a 'b",
    String.raw`SET a "b\"`,
    String.raw`SET a 'b\\'`,
    'SET "a"b 1',
    `SET 'a'"b" 1`,
    '"',
    `SET a b"c`,
  ].map((command) => ['1.redis', `PING\r\n${command}\nPING`, ':2', 'unbalanced quotes', CLOSE] as const),
  ['1.redis', '\ufeff"', ':1', 'unbalanced quotes', CLOSE],
  ['1.redis', 'PING\nSET a \0', ':2', ...NUL],
  ['1.redis', Buffer.from('\ufeffPING', 'utf16le'), '', 'the file is not UTF-8 text', UTF_8],
  ['1.redis', Buffer.from('PING \xff', 'latin1'), '', 'the file is not UTF-8 text', UTF_8],
  // SQL: commands that only psql understands
  ...(
    [
      ['\\connect', 'SELECT 1;\n\\connect other'],
      ['\\gset', 'SELECT 1\n\\gset'],
      ['\\i', "/* \\a */\n\\i 'more.sql'"],
      ['\\!', '\n\\!ls'],
      ['\\', '\n\\'],
      ['\\set', '\ufeff-- a\r\n\\set ON_ERROR_STOP 1'],
    ] as const
  ).map(([command, sql]) => ['1.sql', sql, ':2', `"${command}" is a command of psql, not SQL`, PSQL] as const),
  ['1.sql', "\ncopy t (a, b)\nfrom stdin;\nit's\n\\.\n", ':2', 'COPY … FROM stdin only works in psql', INSERT],
  ['1.sql', Buffer.from('\ufeffSELECT 1', 'utf16le'), '', 'the file is not UTF-8 text', UTF_8],
  // Without a mark, UTF-16 of plain letters is UTF-8 as well.
  ['1.sql', Buffer.from('SELECT 1', 'utf16le'), ':1', ...NUL],
  ['1.sql', "SELECT 1;\nSELECT '\0'", ':2', ...NUL],
  // Dumps
  ['a.dump.sql', 'SELECT 1;\nCOPY a FROM stdin;\n1\n', ':2', ...CUT_OFF],
  ['a.dump.sql', 'COPY a FROM stdin;', ':1', ...CUT_OFF],
  ['a.dump.sql', 'COPY a FROM stdin;\n1\n\\.\n\nCOPY b FROM stdin;\n2', ':5', ...CUT_OFF],
  ['a.dump.sql', 'SELECT 1;\n\\connect shop\n', ':2', '"\\connect" is a command of psql, not SQL', PSQL],
  ['a.dump.sql', 'COPY a FROM stdin;\n1\n\\.\n\\i b.sql\n', ':4', '"\\i" is a command of psql, not SQL', PSQL],
]

test.for(files)('%s of %j is refused', async ([name, text, line, reason, remedy]) => {
  const root = createProject({ 'package.json': '{}' })
  writeFileSync(join(root, name), text)
  const error = await catchInfraError(() => read(root, name))
  expect(error).toMatchObject({
    code: 'INFRA_SEED_FAILED',
    message: `Cannot load ${name}${line}: ${reason}\n${remedy}`,
  })
})

/** A step that ends before it queries its database. */
async function run(step: SeedStep, root: string): Promise<void> {
  await step.run({ root, env: {}, url: 'postgres://localhost:1/none', pool: undefined } as unknown as SeedContext)
}

const FORWARD = (mark: string) =>
  [
    `it has no line "${mark}"`,
    'Write that line above its first statement, or correct the option convention of its folder',
  ] as const
const NONE = (convention: string) =>
  [
    `no file in it follows the convention ${convention}`,
    'Correct its options: convention (plain, golang-migrate, dbmate, goose, flyway) and exclude',
  ] as const

/** A file of a folder `db`, the migrations, the reported place, the reason, and the remedy. */
const migrations: readonly (readonly [
  name: string,
  text: Text,
  SeedStep,
  place: string,
  reason: string,
  remedy: string,
])[] = [
  ['1.sql', 'SELECT 1', sqlFolder('db', { convention: 'dbmate' }), 'db/1.sql', ...FORWARD('-- migrate:up')],
  ['1.sql', '-- migrate:down\n', sqlFolder('db', { convention: 'dbmate' }), 'db/1.sql', ...FORWARD('-- migrate:up')],
  ['1.sql', '-- +goose Dawn\n', sqlFolder('db', { convention: 'goose' }), 'db/1.sql', ...FORWARD('-- +goose Up')],
  ['V1_a.sql', 'SELECT 1', sqlFolder('db', { convention: 'flyway' }), 'db', ...NONE('flyway')],
  ['1.sql', 'SELECT 1', sqlFolder('db', { convention: 'golang-migrate' }), 'db', ...NONE('golang-migrate')],
  ['1.down.sql', 'SELECT 1', sqlFolder('db'), 'db', ...NONE('plain')],
  ['1.sql', 'SELECT 1', sqlFolder('db', { exclude: /./ }), 'db', ...NONE('plain')],
  ['1.sql', Buffer.from([0xff]), sqlFolder('db'), 'db/1.sql', 'the file is not UTF-8 text', UTF_8],
  [
    'a.dump',
    'PGDMP\0\0',
    pgDump('db/a.dump'),
    'db/a.dump',
    'it is an archive of pg_dump, not SQL',
    'Dump with --format=plain, or turn it into SQL with: pg_restore --file=schema.sql db/a.dump',
  ],
  ['a.sql', 'COPY a FROM stdin;\n1\n', pgDump('db/a.sql'), 'db/a.sql:1', ...CUT_OFF],
]

test.for(migrations)('%s of %j is refused as a migration', async ([name, text, step, place, reason, remedy]) => {
  const root = createProject({ 'package.json': '{}' })
  mkdirSync(join(root, 'db'))
  writeFileSync(join(root, 'db', name), text)
  const error = await catchInfraError(() => run(step, root))
  expect(error).toMatchObject({ code: 'INFRA_SEED_FAILED', message: `Cannot load ${place}: ${reason}\n${remedy}` })
})

/** A configured path, and why nothing can be loaded from it; `%` is the project's folder. */
const paths: readonly (readonly [path: string, problem: string, remedy: string])[] = [
  ['nowhere', '@: "%/nowhere" does not exist', 'Create it, or correct the option @ (relative paths start from %)'],
  [
    'db/1.sql/2.sql',
    '@: "%/db/1.sql/2.sql" does not exist',
    'Create it, or correct the option @ (relative paths start from %)',
  ],
  ['../gone', '@: "%/../gone" does not exist', 'Create it, or correct the option @ (relative paths start from %)'],
  [
    'text',
    '@: "%/text" has no EXTENSION file in it',
    'Create it, or correct the option @ (relative paths start from %)',
  ],
  [
    'broken',
    `"%/broken/1.sql": ENOENT: no such file or directory, stat '%/broken/1.sql'`,
    'Remove it, or make it a file or folder that can be read',
  ],
  [
    'circle',
    '"%/circle/again/2/again": it is a link to its own parent folder %/circle',
    'Remove it, or make it a file or folder that can be read',
  ],
]

test.for(paths.flatMap((row) => (['postgres', 'redis'] as const).map((service) => [service, ...row] as const)))(
  '%s loads nothing from %s',
  async ([service, path, problem, remedy]) => {
    const root = createProject({ 'db/1.sql': '', 'text/a.md': '', 'broken/a.md': '', 'circle/a.md': '' })
    symlinkSync(join(root, 'nowhere'), join(root, 'broken/1.sql'))
    mkdirSync(join(root, 'circle/again/2'), { recursive: true })
    symlinkSync(join(root, 'circle'), join(root, 'circle/again/2/again'))
    const error = await catchInfraError(() => findSeedFiles(service, { root, seeds: [path] }))
    const message = `Cannot load ${problem}\n${remedy}`
      .replaceAll('@', `${service}.seeds`)
      .replaceAll('%/../', `${join(root, '..')}/`)
      .replaceAll('%', root)

      .replace('EXTENSION', service === 'redis' ? '.redis' : '.sql')
    expect(error).toMatchObject({ code: 'INFRA_SEED_MISSING', message })
  },
)

test('planning also names the option of migrations and connects to no server', async () => {
  const root = createProject({ 'package.json': '{}' })
  const template = { name: 'default', from: undefined, extensions: ['vector'], migrations: ['nowhere'], seeds: [] }
  const error = await catchInfraError(() => planTemplates([template], root))
  expect(error).toMatchObject({
    code: 'INFRA_SEED_MISSING',
    message:
      `Cannot load postgres.migrations: "${join(root, 'nowhere')}" does not exist\n` +
      `Create it, or correct the option postgres.migrations (relative paths start from ${root})`,
  })
})

test('a file that disappears before it is read is refused', async () => {
  const root = createProject({ 'package.json': '{}' })
  const path = join(root, 'db', 'gone.sql')
  const error = await catchInfraError(() => readSeedFile(path, { root, service: 'postgres' }))
  expect(error).toMatchObject({
    code: 'INFRA_SEED_MISSING',
    message:
      `Cannot load db/gone.sql: ENOENT: no such file or directory, open '${path}'\n` +
      `Restore the file "${path}", or make it readable`,
  })
})

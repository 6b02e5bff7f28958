import { expect, test } from 'vitest'
import { sqlFolder } from '../../../src/migrations.ts'
import { createProject } from '../../unit/support/create-project.ts'
import { buildTemplate, readTables } from './build-template.ts'

const AUTHORS_AND_BOOKS = { authors: ['id', 'name'], books: ['id', 'author_id', 'title'] }

test.for([
  { convention: 'golang-migrate' },
  { convention: 'dbmate' },
  { convention: 'goose' },
  { convention: 'plain', exclude: /^development\// },
] as const)('sqlFolder() runs the files that $convention would run', async (options) => {
  const client = await buildTemplate(sqlFolder(`sql/${options.convention}`, options))
  expect(await readTables(client)).toEqual(AUTHORS_AND_BOOKS)
})

test('sqlFolder() runs the files that flyway would run, in order of versions', async () => {
  const client = await buildTemplate(sqlFolder('sql/flyway', { convention: 'flyway' }))
  expect(await readTables(client)).toEqual({ ...AUTHORS_AND_BOOKS, titles: ['title'] })
})

test.for(['g', 'y', 'gy', 'gi'])(
  'sqlFolder() leaves out every file that matches a pattern with the flags %s',
  async (flags) => {
    const drafts = Array.from({ length: 6 }, (_, index) => [
      `db/draft_${index}.sql`,
      `CREATE TABLE draft_${index} (id int)`,
    ])
    const root = createProject({ 'db/1.sql': 'CREATE TABLE kept (id int)', ...Object.fromEntries(drafts) })
    const exclude = new RegExp('draft', flags)
    exclude.lastIndex = 3
    const client = await buildTemplate(sqlFolder('db', { exclude }), root)
    expect(await readTables(client)).toEqual({ kept: ['id'] })
  },
)

test('sqlFolder() counts lines from the top of the file', async () => {
  await expect(buildTemplate(sqlFolder('sql/dbmate', { convention: 'dbmate', exclude: /authors/ }))).rejects.toThrow(
    'Cannot load sql/dbmate/20260102000000_books.sql:2: relation "authors" does not exist',
  )
})

test('sqlFolder() refuses a folder without a file of its convention', async () => {
  await expect(buildTemplate(sqlFolder('sql/goose', { convention: 'flyway' }))).rejects.toThrow(
    'Cannot load sql/goose: no file in it follows the convention flyway\n' +
      'Correct its options: convention (plain, golang-migrate, dbmate, goose, flyway) and exclude',
  )
})

test("sqlFolder() refuses a file without its convention's marker", async () => {
  await expect(buildTemplate(sqlFolder('sql/goose', { convention: 'dbmate' }))).rejects.toThrow(
    'Cannot load sql/goose/00001_authors.sql: it has no line "-- migrate:up"\nWrite that line above',
  )
})

import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashFiles, locateFile } from '../../../src/databases/hash-files.ts'
import { createProject } from '../support/create-project.ts'

test("hashFiles() does not confuse a file's content with the next file's name", () => {
  const one = createProject({ 'db/a': 'x\nb\ny' })
  const two = createProject({ 'db/a': 'x\n', 'db/b': 'y' })
  expect(hashFiles(['db'], one)).not.toBe(hashFiles(['db'], two))
})

test('hashFiles() distinguishes a missing file from one that says so', () => {
  const root = createProject({ there: 'missing' })
  expect(hashFiles(['there'], root)).not.toBe(hashFiles(['there'], createProject({})))
})

test('hashFiles() follows links to files and folders without looping', () => {
  const elsewhere = createProject({ '1.sql': 'SELECT 1', 'more/2.sql': 'SELECT 2' })
  const root = createProject({ 'db/0.sql': 'SELECT 0' })
  symlinkSync(join(elsewhere, '1.sql'), join(root, 'db/1.sql'))
  symlinkSync(join(elsewhere, 'more'), join(root, 'db/more'))
  symlinkSync(join(root, 'db'), join(root, 'db/self'))
  symlinkSync(join(root, 'nowhere'), join(root, 'db/broken'))
  const hashes = [hashFiles(['db'], root)]
  for (const file of ['1.sql', 'more/2.sql']) {
    writeFileSync(join(elsewhere, file), 'SELECT 3')
    hashes.push(hashFiles(['db'], root))
  }
  expect(new Set(hashes).size).toBe(3)
})

test('locateFile() resolves paths in node_modules as Node does', () => {
  const root = createProject({ 'node_modules/knex/package.json': '{}', 'packages/db/a.sql': '' })
  const file = 'node_modules/knex/package.json'
  expect(locateFile(file, join(root, 'packages/db'))).toBe(join(root, file))
  expect(locateFile('node_modules/prisma/package.json', root)).toBe(join(root, 'node_modules/prisma/package.json'))
  expect(locateFile('a.sql', join(root, 'packages/db'))).toBe(join(root, 'packages/db/a.sql'))
})

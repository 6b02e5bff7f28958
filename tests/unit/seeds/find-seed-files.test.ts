import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findSeedFiles, type SeedPaths } from '../../../src/seeds/find-seed-files.ts'

function createRoot(...files: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-seeds-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), '')
  }
  return root
}

async function find(service: 'postgres' | 'redis', paths: SeedPaths): Promise<string[]> {
  const files = findSeedFiles(service, paths)
  return files.map((file) => relative(paths.root, file).split(sep).join('/'))
}

test('findSeedFiles() reads the default folders, migrations first', async () => {
  const root = createRoot(
    'fixtures/postgres/seeds/1_a.sql',
    'fixtures/postgres/migrations/2_b.sql',
    'fixtures/redis/1_c.redis',
  )
  expect(await find('postgres', { root })).toEqual([
    'fixtures/postgres/migrations/2_b.sql',
    'fixtures/postgres/seeds/1_a.sql',
  ])
  expect(await find('redis', { root })).toEqual(['fixtures/redis/1_c.redis'])
})

test('findSeedFiles() treats a missing default folder as empty', async () => {
  const root = createRoot()
  expect(await find('postgres', { root })).toEqual([])
  expect(await find('redis', { root })).toEqual([])
})

test('findSeedFiles() treats an empty list as no files', async () => {
  const root = createRoot('fixtures/postgres/seeds/1.sql')
  expect(await find('postgres', { root, seeds: [] })).toEqual([])
})

test('findSeedFiles() sorts files and sub-folders in one natural order', async () => {
  const root = createRoot('db/10_c.sql', 'db/2_b/10.sql', 'db/2_b/9.sql', 'db/1_a.sql', 'db/3.SQL')
  expect(await find('postgres', { root, seeds: ['db'] })).toEqual([
    'db/1_a.sql',
    'db/2_b/9.sql',
    'db/2_b/10.sql',
    'db/3.SQL',
    'db/10_c.sql',
  ])
})

test('findSeedFiles() skips hidden files and other extensions in a folder', async () => {
  const root = createRoot('db/1.sql', 'db/._1.sql', 'db/.git/2.sql', 'db/README.md', 'db/3.redis')
  expect(await find('postgres', { root, seeds: ['db'] })).toEqual(['db/1.sql'])
  expect(await find('redis', { root, seeds: ['db'] })).toEqual(['db/3.redis'])
})

test('findSeedFiles() takes configured files unchanged, in the given order', async () => {
  const root = createRoot('b.psql', 'a/1.sql')
  expect(await find('postgres', { root, seeds: ['b.psql', join(root, 'a')] })).toEqual(['b.psql', 'a/1.sql'])
})

test('findSeedFiles() lists a file once, at its first place', async () => {
  const root = createRoot('fixtures/postgres/migrations/1.sql', 'fixtures/postgres/seeds/2.sql')
  expect(await find('postgres', { root, migrations: ['fixtures/postgres'] })).toEqual([
    'fixtures/postgres/migrations/1.sql',
    'fixtures/postgres/seeds/2.sql',
  ])
})

test('findSeedFiles() follows a symbolic link to a folder', async () => {
  const root = createRoot('shared/1.sql', 'db/2.sql')
  symlinkSync(join(root, 'shared'), join(root, 'db/1_shared'), 'junction')
  expect(await find('postgres', { root, seeds: ['db'] })).toEqual(['db/1_shared/1.sql', 'db/2.sql'])
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readSeedFile } from '../../../src/seeds/seed-file.ts'

function createFile(content: Buffer | string): { root: string; path: string } {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-seed-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const path = join(root, '1.sql')
  writeFileSync(path, content)
  return { root, path }
}

test('readSeedFile() drops a byte order mark', async () => {
  const { root, path } = createFile('\ufeffSELECT 1')
  expect(await readSeedFile(path, { root, service: 'postgres' })).toEqual({ name: '1.sql', text: 'SELECT 1' })
})

test('readSeedFile() refuses a file in UTF-16', async () => {
  const { root, path } = createFile(Buffer.from('\ufeffSELECT 1', 'utf16le'))
  await expect(readSeedFile(path, { root, service: 'postgres' })).rejects.toMatchObject({
    code: 'INFRA_SEED_FAILED',
    message: 'Cannot load 1.sql: the file is not UTF-8 text\nSave the file as UTF-8',
  })
})

test('readSeedFile() refuses a file that is gone', async () => {
  const { root } = createFile('')
  const path = join(root, 'db', 'gone.sql')
  await expect(readSeedFile(path, { root, service: 'postgres' })).rejects.toMatchObject({
    code: 'INFRA_SEED_MISSING',
    message:
      `Cannot load db/gone.sql: ENOENT: no such file or directory, open '${path}'\n` +
      `Restore the file "${path}", or make it readable`,
  })
})

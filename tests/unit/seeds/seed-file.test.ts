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

test('readSeedFile() removes a byte order mark', async () => {
  const { root, path } = createFile('\ufeffSELECT 1')
  expect(await readSeedFile(path, { root, service: 'postgres' })).toEqual({ name: '1.sql', text: 'SELECT 1' })
})

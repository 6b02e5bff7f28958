import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createRunFolder } from '../../../../src/providers/embedded/run-folder.ts'

async function makeParent(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'vitest-infra-folders-'))
  onTestFinished(() => rm(parent, { recursive: true }))
  return parent
}

test('createRunFolder() keeps the folders of live processes', async () => {
  const parent = await makeParent()
  const folders = [await createRunFolder(parent), await createRunFolder(parent)]
  expect((await readdir(parent)).toSorted()).toEqual(folders.map((folder) => basename(folder)).toSorted())
})

test('createRunFolder() removes the folder of a process that has exited', async () => {
  const parent = await makeParent()
  const { pid } = spawnSync(process.execPath, ['--version'])
  const own = basename(await createRunFolder(parent))
  const abandoned = own.replace(`-${process.pid}-`, `-${pid}-`)
  await mkdir(join(parent, abandoned))
  const next = basename(await createRunFolder(parent))
  expect((await readdir(parent)).toSorted()).toEqual([own, next].toSorted())
})

// Elsewhere an id is all that is known of a process.
test.runIf(process.platform === 'linux')(
  'createRunFolder() removes the folder of a process whose id is reused',
  async () => {
    const parent = await makeParent()
    const own = basename(await createRunFolder(parent))
    await mkdir(join(parent, own.replace(/-\d+-(\w+)$/, '-1-$1')))
    const next = basename(await createRunFolder(parent))
    expect((await readdir(parent)).toSorted()).toEqual([own, next].toSorted())
  },
)

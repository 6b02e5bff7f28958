import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createProject } from './support/create-project.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const TSC = join(REPOSITORY, 'node_modules/typescript/bin/tsc')

const TSCONFIG = JSON.stringify({
  compilerOptions: { module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: [] },
})

const CONFIG = `
  import { defineConfig } from 'vitest/config'
  import { infra } from 'vitest-infra/plugin'
  export default defineConfig({ plugins: [infra()] })
`

const TEST = `
  import { inject } from 'vitest'
  export const port: number = inject('infra').postgres.port
  export const url: string | undefined = inject('infra').env.DATABASE_URL
  // @ts-expect-error: not a number, and so no any
  export const host: number = inject('infra').redis.host
  // @ts-expect-error: not a key
  inject('infrastructure')
`

/** The compiler's output for a project with this package and Vitest. */
async function compile(files: Readonly<Record<string, string>>): Promise<string> {
  const root = createProject({ 'package.json': '{ "type": "module" }', 'tsconfig.json': TSCONFIG, ...files })
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(REPOSITORY, join(root, 'node_modules/vitest-infra'))
  symlinkSync(join(REPOSITORY, 'node_modules/vitest'), join(root, 'node_modules/vitest'))
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile(process.execPath, [TSC, '--project', root], (_error, stdout) => resolve(stdout))
  return promise
}

// The tests of tests/types/ are one program, in which any of them could bring the types for all.
test("importing vitest-infra/plugin is enough to type inject('infra')", async () => {
  expect(await compile({ 'vitest.config.ts': CONFIG, 'a.test.ts': TEST })).toBe('')
})

test("inject('infra') has no type without an import", async () => {
  expect(await compile({ 'a.test.ts': TEST })).toMatch(/a\.test\.ts\(3,.*'"infra"' is not assignable/)
})

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment } from '../e2e/support/run-vitest.ts'

const REPOSITORY = join(import.meta.dirname, '../..')

/** The number of tests of each example. An example that is missing here fails. */
const TESTS: Readonly<Record<string, number>> = {
  'bullmq-queue': 2,
  'hono-drizzle': 4,
  monorepo: 3,
  'pg-ioredis': 2,
}

/** All folders of examples/, so that a new example is always tested. */
export const EXAMPLES = readdirSync(join(REPOSITORY, 'examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

/** Matches Vitest's summary if all tests of an example passed. */
export function allPassed(name: string): RegExp {
  return new RegExp(`^ +Tests +${TESTS[name]} passed \\(${TESTS[name]}\\)$`, 'm')
}

/** Runs the tests of an example with its own command. */
export function runExample(
  name: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number | null; output: string }> {
  const args = [join(REPOSITORY, 'node_modules/vitest/vitest.mjs'), 'run', '--root', join('examples', name)]
  return new Promise((resolve) => {
    const run = execFile(
      process.execPath,
      args,
      { cwd: REPOSITORY, env: { ...cleanEnvironment(), ...variables } },
      (_, stdout, stderr) => resolve({ exitCode: run.exitCode, output: stdout + stderr }),
    )
  })
}

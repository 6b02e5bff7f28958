import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cleanEnvironment } from '../e2e/support/run-vitest.ts'

const REPOSITORY = join(import.meta.dirname, '../..')

/** How many tests each example has; one that is not named here fails. */
const TESTS: Readonly<Record<string, number>> = {
  'bullmq-queue': 2,
  'hono-drizzle': 4,
  monorepo: 3,
  'pg-ioredis': 2,
}

// What is on the disk, so that no example can be forgotten.
const examples = readdirSync(join(REPOSITORY, 'examples'), { withFileTypes: true }).filter((entry) =>
  entry.isDirectory(),
)

test.each(examples.map(({ name }) => name))('%s passes, with the command that its user types', async (name) => {
  const { exitCode, output } = await runExample(name)

  expect(output).toMatch(new RegExp(`^ +Tests +${TESTS[name]} passed \\(${TESTS[name]}\\)$`, 'm'))
  expect(exitCode).toBe(0)
})

test.each(examples.map(({ name }) => name))(
  '%s passes on local processes, without a container engine',
  async (name) => {
    const { exitCode, output } = await runExample(name, {
      VITEST_INFRA_PROVIDER: 'embedded',
      DOCKER_HOST: 'unix:///nowhere.sock',
    })

    expect(output).toMatch(/^infra {2}Local processes, .*\(as asked for\)$/m)
    expect(output).toMatch(new RegExp(`^ +Tests +${TESTS[name]} passed \\(${TESTS[name]}\\)$`, 'm'))
    expect(exitCode).toBe(0)
  },
)

function runExample(
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

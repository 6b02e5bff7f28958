import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

const CONFIG =
  "export default { services: ['redis'], env: () => ({ READ_FROM: new URL(import.meta.url).pathname.split('/').at(-1) }) }"

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['infra.config.ts', 'infra.config.mts', 'infra.config.js'])(
    'vitest-infra/global-setup reads %s',
    async (file) => {
      const run = await runVitest('global-setup', { consumer, files: { [file]: CONFIG } })
      expect(run.stdout).toContain(`read from ${file}\n`)
      expect(run.stdout).toContain('Tests  2 passed (2)')
      expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
    },
  )

  test('a config above the Vite root is found', async () => {
    const run = await runVitest('global-setup', {
      consumer,
      args: ['run', '--root', 'test', '--config', '../vitest.below.config.ts'],
      files: {
        'infra.config.ts': CONFIG,
        'vitest.below.config.ts': `export default { test: {
          globalSetup: ['vitest-infra/global-setup', './own-global-setup.ts'], setupFiles: ['./setup.ts'] } }`,
      },
    })
    expect(run.stdout).toContain(`read from infra.config.ts\n`)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test("createGlobalSetup() takes options in the user's own file", async () => {
    const run = await runVitest('global-setup', {
      consumer,
      files: {
        'test/infra.ts': `
          import { createGlobalSetup } from 'vitest-infra/global-setup'
          export default createGlobalSetup({ services: ['redis'], env: () => ({ READ_FROM: 'own options' }) })`,
        'vitest.config.ts': `export default { test: {
          globalSetup: ['test/infra.ts', 'test/own-global-setup.ts'], setupFiles: ['test/setup.ts'] } }`,
      },
    })
    expect(run.stdout).toContain('read from own options\n')
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('a global setup at the root serves all inline projects with one stack', async () => {
    const run = await runVitest('global-setup', {
      consumer,
      files: {
        'infra.config.ts': CONFIG,
        'vitest.config.ts': `
          const project = (name) => ({ test: { name, setupFiles: ['test/setup.ts'] } })
          export default { test: {
            globalSetup: ['vitest-infra/global-setup', 'test/own-global-setup.ts'],
            projects: [project('one'), project('two')] } }`,
      },
    })
    expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  4 passed (4)
       Test Files  2 passed (2)
       ✓ |one| test/environment.test.ts (2 tests) <time>
       ✓ |two| test/environment.test.ts (2 tests) <time>
      RUN  v<version> <project>
      read from infra.config.ts
      read from infra.config.ts
      stdout | test/environment.test.ts > the environment stands before setup files and tests
      stdout | test/environment.test.ts > the environment stands before setup files and tests"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })
})

import { describe, expect, inject, test } from 'vitest'
import { errorMessage, sortedLines } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

describe.each(inject('consumers'))('$name', (consumer) => {
  test('two projects with the plugin share one stack', async () => {
    const run = await runVitest('inline-plugins', { consumer })
    expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  2 passed (2)
       Test Files  2 passed (2)
       ✓ |one| test/server.test.ts (1 test) <time>
       ✓ |two| test/server.test.ts (1 test) <time>
      RUN  v<version> <project>"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('two projects with different stacks are an error, and nothing is left', async () => {
    const run = await runVitest('inline-plugins', {
      consumer,
      files: {
        'vitest.config.ts': `
          import { infra } from 'vitest-infra/plugin'
          const ask = (args) => [infra({ services: ['redis'], redis: { args } })]
          export default { test: { projects: [
            { plugins: ask(['--maxmemory', '32mb']), test: { name: 'one' } },
            { plugins: ask(['--maxmemory', '64mb']), test: { name: 'two' } },
          ] } }`,
      },
    })
    expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
      "Cannot start the stack: two projects of this run have different options
      Give infra() the same options in each project, or move them into one infra.config.ts at the root"
    `)
    expect(run.stdout).toMatchInlineSnapshot(`"RUN  v<version> <project>"`)
    expect(run.exitCode).toBe(1)
  })

  test('packages with their own config files share one stack and the infra.config.ts above them', async () => {
    const run = await runVitest('file-projects', { consumer })
    expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  2 passed (2)
       Test Files  2 passed (2)
       ✓ |catalog| catalog.test.ts (1 test) <time>
       ✓ |orders| orders.test.ts (1 test) <time>
      RUN  v<version> <project>"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('a project without the plugin runs next to one with it', async () => {
    const run = await runVitest('mixed', { consumer })
    expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  2 passed (2)
       Test Files  2 passed (2)
       ✓ |database| test/database.test.ts (1 test) <time>
       ✓ |unit| test/unit.test.ts (1 test) <time>
      RUN  v<version> <project>"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test.for(['--project=unit', 'unit.test.ts'])(
    'nothing starts if %s selects only a project without the plugin',
    async (arg) => {
      const run = await runVitest('mixed', { consumer, args: ['run', arg] })
      expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  1 passed (1)
       Test Files  1 passed (1)
       ✓ |unit| test/unit.test.ts (1 test) <time>
      RUN  v<version> <project>"
    `)
      expect(run).toMatchObject({ exitCode: 0, stderr: '', created: [] })
    },
  )
})

import { describe, expect, inject, test } from 'vitest'
import { NEWEST_RUNNERS } from './support/pools.ts'
import { runVitest } from './support/run-vitest.ts'

const CHOICES = [
  ...NEWEST_RUNNERS.map(({ name, consumer, option }) => ({ name, consumer, options: [option] })),
  ...inject('newest').map((consumer) => ({
    name: 'workers that keep modules',
    consumer,
    options: ['--no-isolate', '--maxWorkers=1'],
  })),
]

const REFUSED = (service: string) => `
  import { expect } from 'vitest'
  import { test } from 'vitest-infra/test'
  test('is refused, which changes nothing', async ({ services }) => {
    await services.${service}.restart().catch((error) => console.log(error.code, error.message))
  })`

test.for(CHOICES)(
  'tests can stop and pause only the servers of their own file, in $name',
  async ({ consumer, options }) => {
    const run = await runVitest('services', { consumer, args: ['run', ...options] })
    expect(run.stdout).toContain('Tests  14 passed | 2 expected fail (16)')
    expect(run.stdout + run.stderr).not.toMatch(/Unhandled|57P0/)
    expect(run).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
  },
)

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test.for([
    ['{}', 'postgres', "Set postgres.isolation to 'server', so that every file has a server of its own"],
    [
      "{ redis: { isolation: 'database' } }",
      'redis',
      "Set redis.isolation to 'server', so that every file has a server of its own",
    ],
    [
      "{ isolation: 'shared' }",
      'redis',
      "Set isolation to 'file' or 'worker' for this project, and redis.isolation to 'server'",
    ],
  ] as const)('with %s a test cannot restart %s', async ([options, service, remedy]) => {
    const run = await runVitest('services', {
      consumer,
      args: ['run', 'test/refused.test.ts'],
      files: {
        'vitest.config.ts': `import { infra } from 'vitest-infra/plugin'
        export default { plugins: [infra(${options})] }`,
        'test/refused.test.ts': REFUSED(service),
      },
    })
    expect(run.stdout)
      .toContain(`INFRA_SERVICE_SHARED Cannot restart service "${service}": other test files use the same server
${remedy}`)
    expect(run.exitCode).toBe(0)
  })
})

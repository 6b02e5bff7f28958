import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { RUNNERS } from './support/pools.ts'
import { anyServers, runVitest } from './support/run-vitest.ts'

/** The output of the files of `test/count`, sorted: the number of visits, and the place. */
function visitsIn(stdout: string): { visits: number[]; databases: string[] } {
  const said = [...stdout.matchAll(/^visit (\d+) of (\S+)$/gm)]
  const visits = said.map(([, visit]) => Number(visit)).sort((left, right) => left - right)
  return { visits, databases: [...new Set(said.map(([, , database = '']) => database))] }
}

function projects(options: Record<string, object>, test: object): string {
  const inline = Object.entries(options).map(
    ([name, given]) => `{ plugins: [infra(${JSON.stringify(given)})], test: { name: '${name}', ...test } }`,
  )
  return `import { infra } from 'vitest-infra/plugin'
    const test = ${JSON.stringify(test)}
    export default { test: { projects: [${inline.join()}] } }`
}

test.for(RUNNERS)(
  "isolation: 'worker' shares a database among a worker's files in sequence, in $name",
  async ({ consumer, option }) => {
    const run = await runVitest('isolation-modes', { consumer, env: anyServers(consumer), args: ['run', option] })
    const { visits, databases } = visitsIn(run.stdout)
    expect(visits).toEqual([1, 2, 3, 4, 5, 6])
    expect(databases).toEqual([expect.stringMatching(/^[0-9a-f]{8}_\d+_\d+$/)])
    expect(run.exitCode).toBe(0)
  },
)

test.for(RUNNERS)('projects of every isolation mode run in parallel in $name', async ({ consumer, pool }) => {
  const config = projects(
    { file: {}, worker: { isolation: 'worker' }, shared: { isolation: 'shared' } },
    { include: ['test/count/*.test.ts'], pool, maxWorkers: 1 },
  )
  const run = await runVitest('isolation-modes', {
    consumer,
    env: anyServers(consumer),
    files: { 'vitest.config.ts': config },
  })
  const { visits, databases } = visitsIn(run.stdout)
  expect(visits).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6])
  // Vitest 4 gives all files of a vm pool to one worker, which stays on its database and resets it.
  const filesShare = pool.startsWith('vm') && consumer.vitestMajor === 4
  expect(databases).toHaveLength((filesShare ? 1 : 6) + 1 + 1)
  expect(databases).toContain('app')
  expect(run.exitCode).toBe(0)
})

describe.each(inject('consumers'))('$name', (consumer) => {
  test('projects and files choose their templates, before anything is imported', async () => {
    const config = projects(
      { default: {}, reference: { template: 'reference' }, scenario: { template: 'scenario' } },
      { include: ['test/templates/*.test.ts'] },
    )
    const run = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      files: { 'vitest.config.ts': config },
    })
    expect(sortedLines(run.stdout.match(/^own: .*$/gm)?.join('\n') ?? '')).toBe(
      'own: []\nown: [reference,scenario]\nown: [reference]',
    )
    expect(run.stdout).toContain('Tests  9 passed (9)')
    expect(run.stderr.match(/template "\w+" built/g)?.sort()).toEqual([
      'template "default" built',
      'template "reference" built',
      'template "scenario" built',
    ])
    expect(run.exitCode).toBe(0)
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test("isolation: 'worker' resets nothing if the worker keeps modules", async () => {
    const run = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--no-isolate'],
    })
    expect(visitsIn(run.stdout)).toEqual({ visits: [1, 2, 3, 4, 5, 6], databases: [expect.any(String)] })
    expect(run.exitCode).toBe(0)
  })

  test("isolation: 'worker' creates one database for each worker", async () => {
    const args = ['run', '--fileParallelism', '--maxWorkers=2']
    const run = await runVitest('isolation-modes', { consumer, env: anyServers(consumer), args })
    expect(visitsIn(run.stdout).databases.length).toBeLessThanOrEqual(2)
    expect(visitsIn(run.stdout).visits).toHaveLength(6)
    expect(run.exitCode).toBe(0)
  })

  test('an undefined template is reported in the run of the project that requests it', async () => {
    const config = projects({ nobody: { template: 'nobody' } }, {})
    const run = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      files: { 'vitest.config.ts': config },
    })
    expect(run.stderr).toContain(`Cannot use template "nobody": there are only "default", "reference", "scenario"
Add it to templates in infra.config.ts, or correct the name`)
    expect(run).toMatchObject({ exitCode: 1, created: [] })
  })

  test('a template that cannot be built fails only the file that needs it, with the reason', async () => {
    const using = (name: string) => `
      import { test, useTemplate } from 'vitest-infra/test'
      import '../../src/app.ts'
      useTemplate(${name})
      test('never', () => {})`
    const run = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      args: ['run'],
      files: {
        'vitest.config.ts': projects({ file: {} }, { include: ['test/templates/*.test.ts'] }),
        'test/templates/unknown.test.ts': using("'nobody'"),
        'test/templates/computed.test.ts': using("['sce', 'nario'].join('')"),
      },
    })
    expect(run.stderr).toContain('Cannot use template "nobody": there are only "default", "reference", "scenario"')
    expect(run.stderr).toContain(`Cannot use template "scenario": this file got "default" before its imports ran
Write useTemplate('scenario') with the name as a string literal, in the test file itself`)
    expect(run.stdout).toContain('Test Files  2 failed | 2 passed (4)')
  })

  test('a worker that keeps modules stays on one template, and a shared database on the default', async () => {
    const shared = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      files: {
        'vitest.config.ts': projects(
          { shared: { isolation: 'shared' } },
          { include: ['test/templates/chosen.test.ts'] },
        ),
      },
    })
    expect(shared.stderr).toContain(`Cannot use template "scenario": the files of this project use the main database
Set isolation to 'file' or 'worker', with 'postgres' among services`)
    const kept = await runVitest('isolation-modes', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--no-isolate', '--no-file-parallelism'],
      files: {
        'vitest.config.ts': projects(
          { kept: {} },
          { include: ['test/templates/*.test.ts'], isolate: false, maxWorkers: 1 },
        ),
      },
    })
    expect(kept.stderr).toMatch(
      /Cannot lease template "(scenario|default)" for test\/templates\/(chosen|own)\.test\.ts: its worker keeps a database of "(default|scenario)"\nLeave isolate at true, or put the files of each template into a separate project/,
    )
  })
})

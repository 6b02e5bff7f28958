import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { RUNNERS_AND_KEPT_MODULES } from './support/pools.ts'
import { anyServers, startVitest, type VitestRun } from './support/run-vitest.ts'

/** The attachments of each test, by its name. */
async function artifactsOf({ folder }: VitestRun): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(folder, 'artifacts.json'), 'utf8')) as Record<string, string>
}

function attached(...lines: readonly string[]): string {
  return ['vitest-infra:postgres-log', ...lines, ''].join('\n')
}

/** The lines below a heading of ours. */
function logIn(stderr: string, test: string): readonly string[] {
  const [, rest = ''] = stderr.split(`infra  PostgreSQL's log for ${test}:\n`)
  const lines = rest.split('\n')
  return lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('       ')),
  )
}

test.for(RUNNERS_AND_KEPT_MODULES)(
  'only a failed test gets the log lines of its database, in $name',
  async ({ consumer, option }) => {
    const run = await startVitest('failures', {
      consumer,
      env: anyServers(consumer),
      args: ['run', option, 'customers', 'fixture'],
    })
    const { stdout, stderr } = await run.ended
    expect(stdout).toContain('Tests  6 failed | 3 passed | 1 expected fail (10)')
    const artifacts = await artifactsOf(run)
    expect(artifacts).toEqual({
      'a customer > is added once': attached(
        'ERROR:  duplicate key value violates unique constraint "customers_pkey"',
        'DETAIL:  Key (name)=(Ada) already exists.',
        'STATEMENT:  INSERT INTO customers VALUES ($1)',
      ),
      'fails in the end': attached(
        'ERROR:  column "of_an_attempt" does not exist at character 8',
        'STATEMENT:  SELECT of_an_attempt',
        'ERROR:  column "of_an_attempt" does not exist at character 8',
        'STATEMENT:  SELECT of_an_attempt',
      ),
      'sets passwords': expect.stringMatching(
        /STATEMENT: {2}ALTER ROLE nobody PASSWORD '\*\*\*'; SELECT 'postgres:\/\/shop:\*\*\*@localhost:/,
      ),
      'fails in its own database': attached(
        'ERROR:  column "of_its_own" does not exist at character 8',
        'STATEMENT:  SELECT of_its_own',
      ),
      'fails in a transaction': expect.stringContaining('ERROR:  column "of_a_transaction" does not exist'),
    })
    expect(logIn(stderr, 'test/customers.test.ts > a customer > is added once')).toEqual([
      '       ERROR:  duplicate key value violates unique constraint "customers_pkey"',
      '       DETAIL:  Key (name)=(Ada) already exists.',
      '       STATEMENT:  INSERT INTO customers VALUES ($1)',
    ])
    expect(stderr.match(/PostgreSQL's log for/g)).toHaveLength(5)
    expect(JSON.stringify(artifacts)).not.toMatch(/a%20secret|of nobody/)
    expect(stderr).not.toContain('stays until')
  },
)

describe.each(inject('consumers'))('$name', (consumer) => {
  test('a long log is cut and printed before the errors, also for a suite whose hooks fail', async () => {
    const run = await startVitest('failures', {
      consumer,
      env: anyServers(consumer),
      args: ['run', 'many'],
      terminal: true,
    })
    const { stdout } = await run.ended
    const shown = logIn(stdout, 'test/many.test.ts > says much')
    expect(shown).toHaveLength(21)
    expect(shown[0]).toBe('       LOG:  line 1')
    expect(shown.at(-1)).toMatch(/^ {7}and \d+ more lines$/)
    expect(logIn(stdout, 'test/many.test.ts > a suite > hooks')[0]).toContain('ERROR:  column "of_a_hook"')
    expect(stdout.indexOf("PostgreSQL's log")).toBeLessThan(stdout.indexOf('Failed Tests'))
  })

  test('a test in the main database gets its log; a log prefix without a database gives none', async () => {
    const config = (options: string) => `
      import { infra } from 'vitest-infra/plugin'
      export default { plugins: [infra({ services: ['postgres'], ${options} })] }`
    const start = (options: string) =>
      startVitest('failures', {
        consumer,
        env: anyServers(consumer),
        args: ['run', 'customers'],
        files: { 'vitest.config.ts': config(options) },
      })
    const [shared, nameless] = await Promise.all([
      start("isolation: 'shared'"),
      start("postgres: { settings: { log_line_prefix: '%m ' } }"),
    ])
    expect((await shared.ended).stderr).toContain("PostgreSQL's log for test/customers.test.ts > a customer")
    expect((await nameless.ended).stderr).not.toContain("PostgreSQL's log")
  })
})

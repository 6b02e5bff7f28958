import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { NEWEST_RUNNERS } from './support/pools.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

const COUNT = ['test/1', 'test/2', 'test/3', 'test/4', 'test/5']
const LIKE_IT = `import { ownServer } from '../src/own-server.ts'\nownServer()\n`

/** How many had visited the server of each file, sorted, and how many servers there were. */
function visitsIn(stdout: string): { visits: number[]; servers: number } {
  const said = [...stdout.matchAll(/^visit (\d+) of server_(\d+)$/gm)]
  const visits = said.map(([, visit]) => Number(visit)).sort((left, right) => left - right)
  return { visits, servers: new Set(said.map(([, , port]) => port)).size }
}

function config(options: object, testOptions: object): Record<string, string> {
  const text = `import { infra } from 'vitest-infra/plugin'
    export default { plugins: [infra(${JSON.stringify(options)})], test: ${JSON.stringify(testOptions)} }`
  return { 'vitest.config.ts': text }
}

const KILLED = `
  import { writeFileSync } from 'node:fs'
  import { test } from 'vitest-infra/test'
  import { pool } from '../src/app.ts'
  test('a worker is killed in the middle of its work', async ({ database, services }) => {
    await pool.query('CREATE ROLE visitor_1')
    void database.pool.query('SELECT pg_sleep(60)').catch(() => {})
    await services.postgres.pause()
    writeFileSync('killed.txt', process.env.DB_PORT)
    process.kill(process.pid, 'SIGKILL')
  })`

test.for(NEWEST_RUNNERS)(
  'every file gets a server of its own, equal to a new one, in $name',
  async ({ consumer, option }) => {
    const run = await runVitest('isolation-servers', { consumer, args: ['run', option] })
    expect(run.stdout).toContain('Tests  19 passed (19)')
    expect(visitsIn(run.stdout).visits).toEqual([1, 1, 1, 1, 1, 1])
    expect(run.stderr.match(/template "\w+" built/g)?.sort()).toEqual([
      'template "default" built',
      'template "reference" built',
    ])
    expect(run).toMatchObject({ exitCode: 0, created: ['postgres'] })
  },
)

test.for(NEWEST_RUNNERS.filter(({ pool }) => ['forks', 'vmThreads'].includes(pool)))(
  "isolation: 'worker' shares a server among the files of a worker, in $name",
  async ({ consumer, pool }) => {
    const files = config({ isolation: 'worker' }, { pool, fileParallelism: false })
    const run = await runVitest('isolation-servers', { consumer, files, args: ['run', ...COUNT] })
    expect(visitsIn(run.stdout)).toEqual({ visits: [1, 2, 3, 4, 5], servers: 1 })
    expect(run.exitCode).toBe(0)
  },
)

test.for(NEWEST_RUNNERS.filter(({ pool }) => ['forks', 'vmForks'].includes(pool)))(
  "a killed worker's server is released and reset, in $name",
  async ({ consumer, option }) => {
    const files = { 'test/killed.test.ts': KILLED, 'test/6.test.ts': LIKE_IT, 'test/7.test.ts': LIKE_IT }
    const run = await startVitest('isolation-servers', { consumer, files, args: ['run', option] })
    const { stdout, exitCode } = await run.ended
    const { visits } = visitsIn(stdout)
    expect(visits).toEqual(visits.map(() => 1))
    expect(stdout).toMatch(/Tests {2}25 passed/)
    expect(exitCode).toBe(1)
    // There are four servers for two workers, so the killed one's was needed again.
    const port = await readFile(join(run.folder, 'killed.txt'), 'utf8')
    expect(stdout).toContain(`visit 1 of server_${port}`)
  },
)

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('a worker that keeps modules stays on its server, which is reset between files', async () => {
    const args = ['run', '--no-isolate', '--maxWorkers=1', ...COUNT]
    const run = await runVitest('isolation-servers', { consumer, args })
    expect(visitsIn(run.stdout)).toEqual({ visits: [1, 1, 1, 1, 1], servers: 1 })
    expect(run.stdout).toContain('Tests  15 passed (15)')
    expect(run.exitCode).toBe(0)
  })

  test('watch mode applies an edited migration to the servers', async () => {
    const run = await startVitest('isolation-servers', { consumer, args: ['watch', 'test/1', 'test/templates'] })
    await run.said('Waiting for file changes')
    await run.write(
      'fixtures/postgres/migrations/001_customers.sql',
      `CREATE TABLE customers (id integer GENERATED ALWAYS AS IDENTITY, name text NOT NULL);
     INSERT INTO customers (name) VALUES ('edited');`,
    )
    await run.said('Watching for file changes')
    // The one that a file expects to be alone.
    expect(run.stdout + run.stderr).toContain("[ 'edited', 'reference' ]")
  })
})

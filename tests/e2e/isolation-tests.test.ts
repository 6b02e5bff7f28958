import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { leftDatabases } from '../../fixtures/projects/isolation-tests/src/left-databases.ts'
import { containersOf } from './support/containers.ts'
import { RUNNERS } from './support/pools.ts'
import { anyServers, runVitest, startVitest } from './support/run-vitest.ts'

/** Where a project's PostgreSQL is reached. */
async function portOf(project: string): Promise<string> {
  const containers = await containersOf(project)
  const ports = containers.flatMap(({ NetworkSettings }) => NetworkSettings.Ports['5432/tcp'] ?? [])
  return ports[0]?.HostPort ?? ''
}

interface Use {
  readonly session: number
  readonly database: string
}

/** Where each test of the project was. */
function readUses(stdout: string): Use[] {
  return [...stdout.matchAll(/^use (.*)$/gm)].map(([, use = '']) => JSON.parse(use))
}

const NOTHING_LEFT = 'Databases with traces of a test: []'

test.for(RUNNERS)(
  'each of 200 tests gets a new database and leaves none behind in $name',
  async ({ consumer, option }) => {
    const run = await runVitest('isolation-tests', { consumer, env: anyServers(consumer), args: ['run', option] })
    expect(run.stdout).toContain('Tests  200 passed (200)')
    expect(run.stdout).toContain(NOTHING_LEFT)
    expect(run.exitCode).toBe(0)
  },
)

test.for(RUNNERS)(
  'each test has its own clone and session, opened during the previous test, in $name',
  async ({ consumer, option }) => {
    const run = await startVitest('isolation-next', { consumer, env: anyServers(consumer), args: ['run', option] })
    expect((await run.ended).stdout).toContain('Tests  24 passed (24)')
    // As it was printed: names of databases are alike in the text that is the same every time.
    const uses = readUses(run.stdout)
    expect(new Set(uses.map(({ database }) => database)).size).toBe(24)
    expect(new Set(uses.map(({ session }) => session)).size).toBe(24)
  },
)

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test("after anything a test does, the next one's database and session equal new ones", async () => {
    const run = await runVitest('isolation-everything', { consumer })
    expect(run.stdout + run.stderr).toContain('Tests  19 passed (19)')
    expect(run.exitCode).toBe(0)
  })

  test.for(['--no-isolate', '--sequence.concurrent', '--sequence.hooks=list'])(
    'each test gets a new database with %s',
    async (option) => {
      const run = await runVitest('isolation-tests', {
        consumer,
        env: anyServers(consumer),
        args: ['run', option, 'again', 'concurrent-tests'],
      })
      expect(run.stdout).toContain('Tests  100 passed (100)')
      expect(run.stdout).toContain(NOTHING_LEFT)
      expect(run.exitCode).toBe(0)
    },
  )

  test("in watch mode no run leaves a test's database behind", async () => {
    const run = await startVitest('isolation-tests', {
      consumer,
      args: ['watch', 'concurrent-suites'],
      env: { POSTGRES_PASSWORD: 'chosen' },
    })
    await run.said('Waiting for file changes')
    const url = `postgres://postgres:chosen@localhost:${await portOf(run.project)}/postgres`
    expect(await leftDatabases(url, pg.Client)).toEqual([])
    await appendFile(join(run.folder, 'src/fresh.ts'), '\n')
    await run.said('Waiting for file changes', 2)
    expect(run.stdout.match(/Tests {2}.*50 passed/g)).toHaveLength(2)
    expect(await leftDatabases(url, pg.Client)).toEqual([])
  })
})

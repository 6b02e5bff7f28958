import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { leftDatabases } from '../../fixtures/projects/isolation-tests/src/left-databases.ts'
import { containersOf } from './support/containers.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

/** Where a project's PostgreSQL is reached. */
async function portOf(project: string): Promise<string> {
  const containers = await containersOf(project)
  const ports = containers.flatMap(({ NetworkSettings }) => NetworkSettings.Ports['5432/tcp'] ?? [])
  return ports[0]?.HostPort ?? ''
}

const NOTHING_LEFT = 'Databases with traces of a test: []'

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['forks', 'threads', 'vmForks', 'vmThreads'])(
    '200 tests have a fresh database each and leave none behind in %s',
    async (pool) => {
      const run = await runVitest('isolation-tests', { consumer, args: ['run', `--pool=${pool}`] })
      expect(run.stdout).toContain('Tests  200 passed (200)')
      expect(run.stdout).toContain(NOTHING_LEFT)
      expect(run.exitCode).toBe(0)
    },
  )

  test.for(['--no-isolate', '--sequence.concurrent', '--sequence.hooks=list'])(
    '200 tests have a fresh database each with %s',
    async (option) => {
      const run = await runVitest('isolation-tests', { consumer, args: ['run', option] })
      expect(run.stdout).toContain('Tests  200 passed (200)')
      expect(run.stdout).toContain(NOTHING_LEFT)
      expect(run.exitCode).toBe(0)
    },
  )

  test('in watch mode, too, no run leaves one behind while the stack lives on', async () => {
    const run = await startVitest('isolation-tests', { consumer, args: ['watch'] })
    await run.said('Waiting for file changes')
    const url = `postgres://postgres:postgres@localhost:${await portOf(run.project)}/postgres`
    expect(await leftDatabases(url, pg.Client)).toEqual([])
    await appendFile(join(run.folder, 'src/fresh.ts'), '\n')
    await run.said('Waiting for file changes', 2)
    expect(run.stdout.match(/Tests {2}.*200 passed/g)).toHaveLength(2)
    expect(await leftDatabases(url, pg.Client)).toEqual([])
  })
})

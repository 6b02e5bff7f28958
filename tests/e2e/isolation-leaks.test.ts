import { describe, expect, inject, test } from 'vitest'
import type { Consumer } from './consumers.ts'
import { sortedLines } from './support/plain.ts'
import { RUNNERS } from './support/pools.ts'
import { anyServers, runVitest } from './support/run-vitest.ts'

const LEAKS = 'infra  test/leaky.test.ts left 3 connections open: "api" (2), "reports" (1)'

const OPEN_POOL = `import { test } from 'vitest'
import { openPool } from '../src/pool.ts'`

const WITHOUT_SETUP = `import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({ plugins: [infra({ services: ['postgres'] })] })`

function leaksIn(stderr: string): string {
  return sortedLines(stderr.match(/^infra {2}\S+ left .*$/gm)?.join('\n') ?? '')
}

/** The lines about files that leave something, and how the tests of all files ended. */
async function leaksWith(option: string, consumer: Consumer): Promise<{ leaks: string; tests: string | undefined }> {
  const { stdout, stderr } = await runVitest('isolation-leaks', {
    consumer,
    env: anyServers(consumer),
    args: ['run', option],
  })
  return { leaks: leaksIn(stderr), tests: /Tests {2}(.*)/.exec(stdout)?.[1] }
}

const NAMED = { leaks: LEAKS, tests: '1 failed | 3 passed (4)' }

test.for(RUNNERS)('only a file that leaves connections open is named, in $name', async (runner) => {
  expect(await leaksWith(runner.option, runner.consumer)).toEqual(NAMED)
})

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['--sequence.hooks=list', '--sequence.hooks=parallel'])(
    'only a file that leaves connections open is named, with %s',
    async (option) => {
      expect(await leaksWith(option, consumer)).toEqual(NAMED)
    },
  )

  test('a worker that keeps modules is not reported for its open connections', async () => {
    const run = await runVitest('isolation-leaks', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--no-isolate', 'test/leaky.test.ts', 'test/fixture.test.ts'],
    })
    expect(leaksIn(run.stderr)).toBe('')
  })

  test('a file that writes after its end is named in the next file that uses its database', async () => {
    const run = await runVitest('isolation-leaks', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--no-isolate', '--maxWorkers=1', 'test/poll.test.ts', 'test/next.test.ts'],
      files: {
        'vitest.config.ts': WITHOUT_SETUP,
        'fixtures/postgres/migrations/1_t.sql': 'CREATE TABLE t (n int)',
        // Vitest runs the larger file first.
        'test/poll.test.ts': `${OPEN_POOL}
          const poller = openPool('poller')
          const insert = () => poller.query('INSERT INTO t VALUES (1)')
          const poll = () => void setTimeout(() => void insert().catch(() => {}).finally(poll), 5)
          test('leaves a timer', async () => {
            await insert()
            poll()
          })`,
        'test/next.test.ts': `${OPEN_POOL}
          test('uses it', () => openPool('next').query('SELECT 1').then(() => {}))`,
      },
    })
    expect(run.stderr.match(/^infra {2}.*left code running.*$/gm)).toEqual([
      'infra  test/poll.test.ts left code running that still uses its database ("poller": INSERT INTO t VALUES (1)), ' +
        'which later files use too: stop timers and await queries in afterAll',
    ])
    expect(run.stdout).toContain('Tests  2 passed (2)')
  })

  test.for(['server', 'database'])(
    'a file that uses its Redis after its end is named in the next, with isolation %s',
    async (isolation) => {
      const run = await runVitest('isolation-leaks', {
        consumer,
        args: ['run', '--no-isolate', '--maxWorkers=1'],
        files: {
          'vitest.config.ts': `import { infra } from 'vitest-infra/plugin'
            export default {
              plugins: [infra({ services: ['redis'], redis: { isolation: '${isolation}' } })],
              test: { include: ['test/redis/*.test.ts'] },
            }`,
          'src/redis.ts': `import { Redis } from 'ioredis'
            export const openClient = (connectionName) => new Redis(process.env.REDIS_URL, { connectionName })
            export const shared = openClient('shared')`,
          // Vitest runs the larger file first.
          'test/redis/poll.test.ts': `import { test } from 'vitest'
            import { openClient, shared } from '../../src/redis.ts'
            const [poller, queue, idle] = [openClient('poller'), openClient('queue'), openClient('idle')]
            let n = 0
            const poll = () => void setTimeout(() => void poller.set('stray', n++).catch(() => {}).finally(poll), 5)
            test('leaves a timer, and a client that waits for jobs', async () => {
              await Promise.all([poller, queue, idle, shared].map((client) => client.set('own', 1)))
              void queue.blpop('jobs', 0).catch(() => {})
              poll()
            })`,
          ...Object.fromEntries(
            [1, 2].map((n) => [
              `test/redis/${n}.test.ts`,
              `import { expect, test } from 'vitest'
              import { shared } from '../../src/redis.ts'
              test('uses it', async () => expect(await shared.get('own')).toBe(null))`,
            ]),
          ),
        },
      })
      expect(run.stderr.match(/^infra {2}.*left code running.*$/gm)).toEqual([
        expect.stringMatching(
          /^infra {2}test\/redis\/poll\.test\.ts left code running that still uses its Redis \("poller": set stray \d+, "queue": blpop\), which later files use too: stop timers, close queues and await commands in afterAll$/,
        ),
      ])
      expect(run.stdout).toContain('Tests  3 passed (3)')
    },
  )

  test("a file that alters the template's objects fails the next users of its database, by name", async () => {
    const run = await runVitest('isolation-leaks', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--no-isolate', '--maxWorkers=1', 'test/alter.test.ts', 'test/next.test.ts', 'test/last.test.ts'],
      files: {
        'vitest.config.ts': WITHOUT_SETUP,
        'fixtures/postgres/migrations/1_t.sql': 'CREATE TABLE t (n int)',
        // Vitest runs the largest file first.
        'test/alter.test.ts': `${OPEN_POOL}
          test('grants', async () => {
            await openPool('alter').query("GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS 'of alter.test.ts'")
          })`,
        'test/next.test.ts': `${OPEN_POOL}; test('never', () => {})`,
        'test/last.test.ts': `${OPEN_POOL}; test('never', () => {})`,
      },
    })
    expect(run.stderr).toContain(`for the next test file: test/alter.test.ts altered or dropped what its template has
  table public.t (comment, privileges)
Undo it in afterAll of test/alter.test.ts, put it into a migration, or leave isolate at true for such files`)
    expect(run.stderr).toMatch(/FAIL {2}test\/next\.test\.ts/)
    expect(run.stderr).toMatch(/FAIL {2}test\/last\.test\.ts/)
    expect(run.stdout).toContain('Test Files  2 failed | 1 passed (3)')
    expect(run.exitCode).toBe(1)
  })
})

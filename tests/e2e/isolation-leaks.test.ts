import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { POOLS } from './support/pools.ts'
import { runVitest } from './support/run-vitest.ts'

const LEAKS = 'infra  test/leaky.test.ts left 3 connections open: "api" (2), "reports" (1)'

const OPEN_POOL = `import { expect, test } from 'vitest'
import { openPool } from '../src/pool.ts'`

const WITHOUT_SETUP = `import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({ plugins: [infra({ services: ['postgres'] })] })`

function leaksIn(stderr: string): string {
  return sortedLines(stderr.match(/^infra {2}\S+ left .*$/gm)?.join('\n') ?? '')
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for([...POOLS.map((pool) => [`--pool=${pool}`]), ['--sequence.hooks=list'], ['--sequence.hooks=parallel']])(
    'a file that leaves connections open is named, and no other, with %s',
    async (options) => {
      const run = await runVitest('isolation-leaks', { consumer, args: ['run', ...options] })
      expect(leaksIn(run.stderr)).toBe(LEAKS)
      expect(run.stdout).toContain('Tests  1 failed | 3 passed (4)')
    },
  )

  test('a worker that keeps modules is right to keep connections', async () => {
    const run = await runVitest('isolation-leaks', {
      consumer,
      args: ['run', '--no-isolate', 'test/leaky.test.ts', 'test/fixture.test.ts'],
    })
    expect(leaksIn(run.stderr)).toBe('')
  })

  test('a file that still writes when it is over is named where the next one uses its database', async () => {
    const run = await runVitest('isolation-leaks', {
      consumer,
      args: ['run', '--no-isolate', '--maxWorkers=1', 'test/poll.test.ts', 'test/next.test.ts'],
      files: {
        'vitest.config.ts': WITHOUT_SETUP,
        'fixtures/postgres/1_t.sql': 'CREATE TABLE t (n int)',
        // Vitest runs the larger file first.
        'test/poll.test.ts': `${OPEN_POOL}
          const poller = openPool('poller')
          test('leaves a timer', async () => {
            setInterval(() => void poller.query('INSERT INTO t VALUES (1)').catch(() => {}), 5)
            await expect.poll(async () => (await poller.query('SELECT FROM t')).rowCount).toBeGreaterThan(0)
          })`,
        'test/next.test.ts': `${OPEN_POOL}
          test('uses it', () => openPool('next').query('SELECT 1').then(() => {}))`,
      },
    })
    expect(run.stderr.match(/^infra {2}.*left something.*$/gm)).toEqual([
      'infra  test/poll.test.ts left something running that still uses its database ("poller": INSERT INTO t VALUES (1)), ' +
        'and so the database of the files that follow: stop timers and await queries in afterAll',
    ])
    expect(run.stdout).toContain('Tests  2 passed (2)')
  })
})

import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { POOLS } from './support/pools.ts'
import { runVitest } from './support/run-vitest.ts'

const LEAKS = 'infra  test/leaky.test.ts left 3 connections open: "api" (2), "reports" (1)'

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
})

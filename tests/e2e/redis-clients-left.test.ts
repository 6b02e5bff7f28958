import { expect, test } from 'vitest'
import { RUNNERS } from './support/pools.ts'
import { anyServers, runVitest } from './support/run-vitest.ts'

/** The files that are reported to have left a client. */
function namedIn(stderr: string): string[] {
  return [...stderr.matchAll(/^infra {2}(\S+) left a client connected to its Redis/gm)]
    .map(([, file = '']) => file)
    .sort()
}

test.for(RUNNERS)(
  "a leftover client of a file cannot reach another file's Redis, in $name",
  async ({ consumer, option }) => {
    const run = await runVitest('redis-clients-left', { consumer, env: anyServers(consumer), args: ['run', option] })
    expect(run.stdout).toContain('Tests  6 passed (6)')
    expect(namedIn(run.stderr)).toContain('test/1.test.ts')
    expect(run.exitCode).toBe(0)
  },
)

import { expect, test } from 'vitest'
import { RUNNERS_AND_KEPT_MODULES } from './support/pools.ts'
import { anyServers, runVitest } from './support/run-vitest.ts'

test.for(RUNNERS_AND_KEPT_MODULES)(
  "fixtures compose with the user's and clean up in any case, in $name",
  async ({ consumer, option }) => {
    const run = await runVitest('isolation-fixtures', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--maxWorkers=2', option],
    })
    expect(run.stdout).toContain('Tests  21 passed (21)')
    expect(run.stdout + run.stderr).not.toMatch(/Unhandled|57P01/)
    expect(run.stderr.match(/^infra {2}\S+ > .* left .*$/gm)).toEqual([
      'infra  test/ends.test.ts > two forgotten left 2 connections open: "vitest-infra database" (2)',
      'infra  test/ends.test.ts > clocks that stand still left 1 connection open: "vitest-infra database" (1)',
    ])
    expect(run.exitCode).toBe(0)
  },
)

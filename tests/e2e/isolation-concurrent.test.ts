import { describe, expect, inject, test } from 'vitest'
import { anyServers, runVitest } from './support/run-vitest.ts'

/** Few places, in every way that a server or a logical database is leased. */
const STACKS = {
  'the default': {},
  'few connections': { postgres: { settings: { max_connections: '20' } } },
  'a PostgreSQL for each file': { postgres: { isolation: 'server' } },
  'logical databases of one Redis': { redis: { isolation: 'database', args: ['--databases', '4'] } },
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(Object.entries(STACKS))('more concurrent tests than databases pass, with %s', async ([, options]) => {
    const run = await runVitest('isolation-concurrent', {
      consumer,
      env: { ...anyServers(consumer), INFRA_OPTIONS: JSON.stringify(options) },
    })
    expect(run.stdout + run.stderr).toContain('Tests  40 passed (40)')
    expect(run.exitCode).toBe(0)
  })
})

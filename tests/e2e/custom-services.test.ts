import { expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

test('a custom service starts with the others, serves all files and stops with them', async () => {
  const run = await runVitest('custom-services', { consumer })
  expect(run).toMatchObject({ exitCode: 0, created: ['cache', 'redis'] })
  expect(sortedLines(run.stderr)).toMatchInlineSnapshot(`
    "infra  1 lease, waited <time>
    infra  Docker Engine <version> at <host> (<source>)
    infra  cache healthy after <time>, redis <version> healthy after <time>
    infra  redis: no client connected; if no test needs it, remove it with services: { redis: false }"
  `)
})

test('without a container engine, the error names the service that needs one', async () => {
  const env = { VITEST_INFRA_PROVIDER: 'embedded' }
  const run = await runVitest('custom-services', { consumer, env })
  expect(run).toMatchObject({ exitCode: 1, created: [] })
  expect(run.stderr).toContain('cache: its image redis:8-alpine needs a container engine')
  expect(run.stderr).toContain('Start Docker, or leave cache out of services')
})

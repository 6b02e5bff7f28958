import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Consumer } from '../e2e/consumers.ts'
import { startVitest } from '../e2e/support/run-vitest.ts'
import {
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../support/somebodys-servers.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const [consumer] = inject('consumers') as [Consumer]

/** Claims on Redis are proof of life for 15 s. */
const PATIENCE = { timeout: 30_000, interval: 200 }

let servers: SomebodysServers
beforeAll(async () => {
  servers = await startSomebodysServers()
})
afterAll(() => servers.stop())

async function claims(): Promise<readonly string[]> {
  return (await servers.look()).keys.filter((key) => key.includes('vitest-infra:claim:'))
}

async function killIn(stage: string, env: Record<string, string>): Promise<void> {
  const run = await startVitest('faults', { consumer, env: { ...env, HOLD: stage } })
  await run.said(`holding in ${stage}`)
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  await expectNothingLeft(run)
}

test('kill -9 in any stage leaves to the next run what that drops, and nothing of anybody is touched', async () => {
  const { postgres: DATABASE_URL = '', redis: REDIS_URL = '' } = servers.external
  const env = { VITEST_INFRA_PROVIDER: 'external', DATABASE_URL, REDIS_URL }
  // First, since the others wait for a template that somebody builds, and find one that is built.
  await killIn('template', env)
  await Promise.all([killIn('test', env), killIn('teardown', env)])
  // A run of this moment would leave them alone.
  expect((await claims()).length).toBeGreaterThan(0)
  await expect.poll(claims, PATIENCE).toEqual([])

  const next = await startVitest('faults', { consumer, env })
  expect(await next.ended).toMatchObject({ exitCode: 0 })
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

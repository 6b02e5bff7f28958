import { expect, inject, onTestFinished, test } from 'vitest'
import { startVitest } from '../e2e/support/run-vitest.ts'
import { plantBystander } from './support/bystander.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')

/** `npm run faults` starts fifty. */
const RUNS = Number(process.env['FAULTS_RUNS'] ?? 4)
/** On two cores each of them has its turn late. */
const LIMIT_MS = 60_000 + 6_000 * RUNS

/**
 * Redis only: fifty PostgreSQL servers take more memory than many machines have. Its healthcheck in the engine is rare:
 * fifty every 5 s can use two cores, and no run makes progress.
 */
const FILES = {
  'infra.config.ts': "export default { services: ['redis'], redis: { healthcheck: { interval: '60s' } } }\n",
  'test/later.test.ts': `import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
test('nobody else is here', { timeout: 60_000 }, async () => {
  const redis = new Redis(process.env.REDIS_URL ?? '')
  expect(await redis.dbsize()).toBe(0)
  await redis.set('here', process.pid)
  redis.disconnect()
})
`,
}

test('runs that start at the same time all pass and leave nothing', { timeout: LIMIT_MS }, async () => {
  const bystander = await plantBystander()
  onTestFinished(() => bystander.remove())
  const env = { VITEST_INFRA_STARTUP_TIMEOUT_MS: String(LIMIT_MS) }
  const args = ['run', 'later']
  const runs = await Promise.all(
    Array.from({ length: RUNS }, () => startVitest('faults', { consumer, args, env, files: FILES })),
  )
  const ends = await Promise.all(runs.map(({ ended }) => ended))
  const failed = ends.filter(({ exitCode }) => exitCode !== 0)
  process.stdout.write(`runs: ${RUNS} at once, ${failed.length} failed\n`)
  expect(failed.map(({ stdout, stderr }) => stdout + stderr)).toEqual([])
  for (const run of runs) {
    await expectNothingLeft(run)
  }
  await bystander.assertUntouched()
})

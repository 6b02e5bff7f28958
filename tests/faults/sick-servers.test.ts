import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { containerOf } from '../e2e/support/containers.ts'
import { startVitest } from '../e2e/support/run-vitest.ts'
import { type Bystander, plantBystander } from './support/bystander.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')

let bystander: Bystander
beforeAll(async () => {
  bystander = await plantBystander()
})
afterAll(() => bystander.remove())

/** Memory of 256 MB that servers have in common, where the lifeline keeps its notes. */
const SMALL_DISK = '/dev/shm/full'

const WRITES = `import { Client } from 'pg'
import { test } from 'vitest'
test('writes more than there is room for', async () => {
  const client = new Client({ connectionString: process.env.DATABASE_URL ?? '' })
  await client.connect()
  await client.query("CREATE TABLESPACE small LOCATION '${SMALL_DISK}'")
  try {
    await client.query("CREATE TABLE heap TABLESPACE small AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 400000) AS n")
  } finally {
    await client.end()
  }
})`

test("a full disk fails the tests that write, with the server's error, and nothing is left", async () => {
  const files = { 'test/later.test.ts': WRITES }
  const run = await startVitest('faults', { consumer, env: { HOLD: 'test' }, files })
  await run.said('holding in test')
  const container = await containerOf(run.project, 'postgres')
  const making = await container.exec({ Cmd: ['install', '-d', '-o', 'postgres', SMALL_DISK], User: 'root' })
  await making.start({})
  await expect.poll(() => making.inspect()).toMatchObject({ Running: false, ExitCode: 0 })
  await run.write('go', '')
  const { stdout, stderr, exitCode } = await run.ended
  expect(stdout + stderr).toContain('No space left on device')
  expect(stdout).toContain('Tests  1 failed | 1 passed (2)')
  expect(exitCode).toBe(1)
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

/** Fails, passes once, and fails twice again, from then on. */
const FLAPPING = 'n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n + 1)) >/tmp/n; [ $((n % 3)) = 1 ]'

test('a flapping healthcheck neither prevents nor ends a run', async () => {
  const healthcheck = JSON.stringify({ cmd: FLAPPING, interval: '1s', retries: 60 })
  const files = { 'infra.config.ts': `export default { redis: { healthcheck: ${healthcheck} } }` }
  const run = await startVitest('faults', { consumer, env: { LINGER_MS: '4000' }, files })
  expect(await run.ended).toMatchObject({ exitCode: 0 })
  await expectNothingLeft(run)
})

const LATE = `export default { services: { late: {
  image: 'redis:8-alpine',
  port: 6379,
  command: ['sh', '-c', 'sleep 3; exec redis-server'],
  healthcheck: { cmd: 'true', interval: '1s', retries: 60 },
} } }`

const ASKS_AT_ONCE = `import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
test('it is there', async () => {
  const redis = new Redis(Number(process.env.LATE_PORT), process.env.LATE_HOST, { retryStrategy: () => null })
  expect(await redis.ping()).toBe('PONG')
  redis.disconnect()
})`

test('the run waits for a port that answers after the healthcheck passes', async () => {
  const files = { 'infra.config.ts': LATE, 'test/later.test.ts': ASKS_AT_ONCE }
  const run = await startVitest('faults', { consumer, args: ['run', 'later'], files })
  expect(await run.ended).toMatchObject({ exitCode: 0 })
  await expectNothingLeft(run)
})

/** Makes the clock of a process jump during its run. */
const JUMP = (hours: number) => `
const Clock = Date
let offset = 0
setTimeout(() => { offset = ${hours} * 3_600_000 }, 1_000).unref()
globalThis.Date = class extends Clock {
  constructor(...given) {
    super(...(given.length > 0 ? given : [Clock.now() + offset]))
  }
  static now() {
    return Clock.now() + offset
  }
}`

test.for([1, -1])('a clock jump of %i h during a run does no harm', async (hours) => {
  const run = await startVitest('faults', {
    consumer,
    env: { NODE_OPTIONS: '--import=./jump.mjs', LINGER_MS: '1500' },
    files: { 'jump.mjs': JUMP(hours) },
  })
  const { exitCode, stderr } = await run.ended
  expect(stderr).not.toContain('Cannot')
  expect(exitCode).toBe(0)
  await expectNothingLeft(run)
})

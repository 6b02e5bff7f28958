import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { containerOf, holdersOf } from '../e2e/support/containers.ts'
import { EngineProxy } from '../e2e/support/engine-proxy.ts'
import { errorMessage } from '../e2e/support/plain.ts'
import { startVitest, type VitestRun } from '../e2e/support/run-vitest.ts'
import { type Bystander, plantBystander } from './support/bystander.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')

let bystander: Bystander
beforeAll(async () => {
  bystander = await plantBystander()
})
afterAll(() => bystander.remove())

const RESTARTED = { 'infra.config.ts': 'export default { postgres: { restart: true } }' }

async function startHolding(env: Readonly<Record<string, string>> = {}, files = {}): Promise<VitestRun> {
  const run = await startVitest('faults', { consumer, env: { HOLD: 'test', ...env }, files })
  await run.said('holding in test')
  return run
}

test('a worker killed in a test fails only its file', async () => {
  const run = await startHolding()
  const [, worker] = /worker (\d+)/.exec(run.stdout) ?? []
  process.kill(Number(worker), 'SIGKILL')
  const { stdout, exitCode } = await run.ended
  expect(stdout).toMatch(/✓ .*later\.test\.ts/)
  expect(exitCode).toBe(1)
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test.for(['postgres', 'redis'])('%s killed during tests is named, and nothing is left', async (service) => {
  const run = await startHolding()
  await (await containerOf(run.project, service)).kill()
  await run.said(`Cannot go on with service "${service}": its server was killed by SIGKILL`)
  await run.write('go', '')
  expect(await run.ended).toMatchObject({ exitCode: 1 })
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('a server killed while its template is built is named with its log; nothing is left', async () => {
  const run = await startVitest('faults', { consumer, env: { HOLD: 'template' } })
  await run.said('holding in template')
  await (await containerOf(run.project, 'postgres')).kill()
  await run.write('go', '')
  const { stdout, stderr, exitCode } = await run.ended
  expect(errorMessage(stderr)).toMatch(
    /^Cannot start service "postgres": its server was killed by SIGKILL before it was ready\n/,
  )
  expect(stderr).toContain('database system is ready to accept connections')
  expect(stdout).not.toContain('✓')
  expect(exitCode).toBe(1)
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('a server killed repeatedly restarts three times, and nothing is left', async () => {
  const run = await startHolding({}, RESTARTED)
  for (const times of [1, 2, 3]) {
    await (await containerOf(run.project, 'postgres')).kill()
    await run.said(', restarted', times)
  }
  await (await containerOf(run.project, 'postgres')).kill()
  await run.said('Cannot go on', 4)
  await run.write('go', '')
  const { exitCode, stderr } = await run.ended
  expect(stderr.match(/the files that follow have a new server/g)).toHaveLength(3)
  expect(exitCode).toBe(1)
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('Ctrl-C during a restart leaves nothing and reports no failed start', async () => {
  const run = await startHolding({}, RESTARTED)
  await (await containerOf(run.project, 'postgres')).kill()
  await run.said('Cannot go on')
  run.signal('SIGINT')
  const { exitCode, stderr } = await run.ended
  expect(stderr).not.toContain('Cannot start')
  expect(exitCode).toBe(130)
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('a server out of memory is reported as such, and nothing is left', async () => {
  const run = await startHolding()
  const container = await containerOf(run.project, 'redis')
  const Memory = 96 * 1024 ** 2
  await container.update({ Memory, MemorySwap: Memory })
  const fill = "for i = 1, 4000000 do redis.call('SET', i, string.rep('x', 1000)) end"
  await (await container.exec({ Cmd: ['redis-cli', 'EVAL', fill, '0'] })).start({})
  await run.said('Cannot go on with service "redis": its server was killed, as it ran out of memory')
  await run.write('go', '')
  expect(await run.ended).toMatchObject({ exitCode: 1 })
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

// A paused container does not count as exited for the lifeline.
test('a server whose connection breaks while it is paused is not given up', async () => {
  const proxy = await EngineProxy.open()
  const run = await startHolding({ DOCKER_HOST: proxy.host })
  const container = await containerOf(run.project, 'postgres')
  await container.pause()
  const before = proxy.served
  proxy.cut()
  // Both lifelines try to start a program, and the one that is refused asks why and tries again.
  await expect.poll(() => proxy.served - before, { timeout: 10_000 }).toBeGreaterThan(4)
  await container.unpause()
  await expect.poll(() => holdersOf(container.id), { timeout: 10_000 }).toEqual([expect.not.stringMatching(/^first$/)])
  await run.write('go', '')
  const { exitCode, stderr } = await run.ended
  expect(stderr).not.toContain('Cannot go on')
  expect(exitCode).toBe(0)
  await expectNothingLeft(run)
})

test('servers left paused do not prevent the run from ending', async () => {
  const run = await startHolding()
  await (await containerOf(run.project, 'postgres')).pause()
  await (await containerOf(run.project, 'redis')).pause()
  run.signal('SIGINT')
  expect(await run.ended).toMatchObject({ exitCode: 130 })
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('kill -9 of a run whose servers are paused', async () => {
  const run = await startHolding()
  const container = await containerOf(run.project, 'postgres')
  await container.pause()
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  // A paused container cannot exit; it does once it resumes.
  await container.unpause()
  await expectNothingLeft(run)
})

test('Ctrl-C twice in quick succession leaves nothing', async () => {
  const run = await startHolding()
  run.signal('SIGINT')
  run.signal('SIGINT')
  expect(await run.ended).toMatchObject({ exitCode: 130 })
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

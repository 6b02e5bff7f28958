import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startVitest, type VitestRun } from '../e2e/support/run-vitest.ts'
import { type Bystander, plantBystander } from './support/bystander.ts'
import { watchFor } from './support/engine-events.ts'
import { expectNothingLeft, volumesOf } from './support/left-of-run.ts'

const consumer = inject('consumer')

let bystander: Bystander
beforeAll(async () => {
  bystander = await plantBystander()
})
afterAll(() => bystander.remove())

/** How a stage is known to have been reached. */
const STAGES: readonly (readonly [stage: string, hold: string, reached: (run: VitestRun) => Promise<void>])[] = [
  ['start', '', (run) => run.said('Docker Engine')],
  ['health gate', '', async (run) => (await watchFor('start', run.project)).done],
  ['template', 'template', (run) => run.said('holding in template')],
  ['setup', 'setup', (run) => run.said('holding in setup')],
  ['tests', 'test', (run) => run.said('holding in test')],
  ['teardown', 'teardown', (run) => run.said('holding in teardown')],
  // Last, because later runs would remove its leftovers.
  ['snapshot', 'test', async (run) => (await watchFor('start', run.project, '-snapshot')).done],
  ['creation', '', async (run) => (await watchFor('create', run.project)).done],
]

// One test, as each of them has to wait for the grace period, and all can at once.
test('kill -9 of the main process leaves nothing, in any stage', async () => {
  const killed: [stage: string, run: VitestRun, volumes: readonly string[]][] = []
  for (const [stage, HOLD, reached] of STAGES) {
    const VITEST_INFRA_SNAPSHOT = stage === 'snapshot' ? 'on' : 'off'
    const run = await startVitest('faults', { consumer, env: { HOLD, VITEST_INFRA_SNAPSHOT } })
    await reached(run)
    const volumes = await volumesOf(run)
    run.signal('SIGKILL')
    expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
    await run.forgetFiles()
    killed.push([stage, run, volumes])
  }
  await Promise.all(killed.map(([stage, run, volumes]) => expectNothingLeft(run, { stage, volumes })))
  await bystander.assertUntouched()
})

test('kill -9 during the teardown leaves nothing', async () => {
  const run = await startVitest('faults', { consumer, env: { HOLD: 'teardown' } })
  await run.said('holding in teardown')
  const removed = await watchFor('destroy', run.project)
  await run.write('go', '')
  await removed.done
  run.signal('SIGKILL')
  // Or it was over already.
  expect(await run.ended).toSatisfy(({ exitCode, signal }) => exitCode === 0 || signal === 'SIGKILL')
  await run.forgetFiles()
  await expectNothingLeft(run)
  await bystander.assertUntouched()
})

test('a template interrupted by kill -9 on reused servers is rebuilt by the next run', async () => {
  const env = { VITEST_INFRA_KEEP_ALIVE: '10s' }
  const killed = await startVitest('faults', { consumer, env: { ...env, HOLD: 'template' } })
  await killed.said('holding in template')
  killed.signal('SIGKILL')
  await killed.ended
  await killed.forgetFiles()
  const next = await startVitest('faults', { consumer, env, after: killed })
  const { exitCode, stderr } = await next.ended
  expect(stderr).toContain('template "default" built')
  expect(exitCode).toBe(0)
  await expectNothingLeft(next)
})

test('two parallel runs are separate, and killing one takes nothing from the other', async () => {
  const [killed, other] = await Promise.all([
    startVitest('faults', { consumer, env: { HOLD: 'test' } }),
    startVitest('faults', { consumer, env: { HOLD: 'test' } }),
  ])
  await Promise.all([killed.said('holding in test'), other.said('holding in test')])
  killed.signal('SIGKILL')
  await killed.ended
  await killed.forgetFiles()
  await expectNothingLeft(killed)
  await other.write('go', '')
  expect(await other.ended).toMatchObject({ exitCode: 0 })
  await expectNothingLeft(other)
  await bystander.assertUntouched()
})

test('the next run removes the socket of a killed run', async () => {
  const run = await startVitest('faults', { consumer, env: { HOLD: 'test' } })
  await run.said('holding in test')
  run.signal('SIGKILL')
  await run.ended
  const [left] = await run.leftFiles()
  const socket = join(run.folder, 'tmp', left ?? '', 'lease.sock')
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(socket, longAgo, longAgo)
  const next = await startVitest('faults', { consumer, after: run })
  expect(await next.ended).toMatchObject({ exitCode: 0 })
  expect(await run.leftFiles()).toEqual([])
  await expectNothingLeft(run)
})

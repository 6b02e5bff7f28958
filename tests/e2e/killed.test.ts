import { expect, inject, test } from 'vitest'
import { containersOf, engine, holdersOf, leftoversOf } from './support/containers.ts'
import { EngineProxy } from './support/engine-proxy.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

/** Longer than the grace period, which a run that was killed cannot shorten. */
const PATIENCE_MS = 20_000

test("kill -9 during a server's initialization leaves nothing", async () => {
  const run = await startVitest('plain', { consumer })
  const running = async () => (await containersOf(run.project)).filter(({ State }) => State.Running)
  await expect.poll(running, { timeout: PATIENCE_MS, interval: 20 }).toHaveLength(2)
  run.signal('SIGKILL')
  const { stderr } = await run.ended
  expect(stderr).not.toContain('infra  postgres')
  await run.forgetFiles()
  expect(await leftoversOf(run.project, PATIENCE_MS)).toEqual([])
})

test.for([
  ['in the setup of the user', ['run'], 'holding in setup', 'setup'],
  ['in a test', ['run'], 'holding in test', 'test'],
  ['in watch mode', ['watch'], 'Waiting for file changes', ''],
] as const)('kill -9 %s leaves nothing', async ([, args, stage, HOLD]) => {
  const run = await startVitest('endings', { consumer, args, env: { HOLD } })
  await run.said(stage)
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  expect(await leftoversOf(run.project, PATIENCE_MS)).toEqual([])
})

test('kill -9 leaves nothing for the next run, which does not wait for the grace period', async () => {
  const killed = await startVitest('endings', { consumer, env: { HOLD: 'test' } })
  await killed.said('holding in test')
  killed.signal('SIGKILL')
  await killed.ended
  const [left] = await containersOf(killed.project)
  await killed.forgetFiles()
  await runVitest('endings', { consumer })
  const removed = (await engine()).getContainer(left?.Id ?? 'gone').wait({ condition: 'removed' })
  expect(await removed.catch(({ statusCode }: { statusCode: number }) => statusCode)).toSatisfy(
    (answer) => answer === 404 || typeof answer === 'object',
  )
})

test('servers survive a broken engine connection', async () => {
  const proxy = await EngineProxy.open()
  // Additional Redis processes exit with their own connection.
  const files = { 'infra.config.ts': "export default { redis: { isolation: 'database' } }" }
  const run = await startVitest('endings', { consumer, env: { HOLD: 'test', DOCKER_HOST: proxy.host }, files })
  await run.said('holding in test')
  const [container] = await containersOf(run.project)
  proxy.cut()
  await expect
    .poll(() => holdersOf(container?.Id ?? ''), { timeout: PATIENCE_MS })
    .toEqual([expect.not.stringMatching(/^first$/)])
  await run.write('go', '')
  expect(await run.ended).toMatchObject({ exitCode: 0 })
})

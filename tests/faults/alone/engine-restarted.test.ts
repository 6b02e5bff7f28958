// Others share the engine, so `npm run faults` runs this last, and only with this clone's own engine.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import { startVitest, type VitestRun } from '../../e2e/support/run-vitest.ts'
import { expectNothingLeft } from '../support/left-of-run.ts'

const consumer = inject('consumer')

/** Without a command it has the engine up. */
async function lab(...command: 'down'[]): Promise<void> {
  await promisify(execFile)(process.execPath, ['lab/cli.ts', ...command])
}

async function startHolding(): Promise<VitestRun> {
  const run = await startVitest('faults', { consumer, env: { HOLD: 'test' } })
  await run.said('holding in test')
  return run
}

test('an engine restart during tests fails them with that cause and leaves nothing', async () => {
  const run = await startHolding()
  await lab('down')
  await lab()
  await run.said('Cannot go on with service')
  await run.write('go', '')
  expect(await run.ended).toMatchObject({ exitCode: 1 })
  await expectNothingLeft(run)
})

test('leftovers of a run killed while the engine is down are removed once it is back', async () => {
  const run = await startHolding()
  await lab('down')
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  await lab()
  await expectNothingLeft(run)
})

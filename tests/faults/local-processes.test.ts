import { expect, inject, test } from 'vitest'
import { startVitest } from '../e2e/support/run-vitest.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')

test.for(['template', 'test', 'teardown'])('kill -9 in the stage "%s" stops local processes', async (HOLD) => {
  const run = await startVitest('faults', { consumer, env: { VITEST_INFRA_PROVIDER: 'embedded', HOLD } })
  await run.said(`holding in ${HOLD}`)
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  await expectNothingLeft(run)
})

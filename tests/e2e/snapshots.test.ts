import { expect, inject, onTestFinished, test } from 'vitest'
import { removeSnapshotsOf } from './support/containers.ts'
import { startVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

const TAKEN = 'snapshot of postgres taken in <time>, for the next run'

/** A short run waits 5 s for its snapshot, which a busy machine may exceed: the next one tries again. */
const MOST_RUNS = 4

test("the next run starts from an earlier run's snapshot, however short that run was", async () => {
  const env = { VITEST_INFRA_SNAPSHOT: 'on' }
  let run = await startVitest('seeds', { consumer, env })
  const { folder } = run
  onTestFinished(() => removeSnapshotsOf(folder))
  let ended = await run.ended
  for (let count = 1; !ended.stderr.includes(TAKEN) && count < MOST_RUNS; count += 1) {
    run = await startVitest('seeds', { consumer, env, after: run })
    ended = await run.ended
  }
  expect(ended.exitCode).toBe(0)
  expect(ended.stderr).toContain(TAKEN)

  const next = await startVitest('seeds', { consumer, env, after: run })
  const nextEnd = await next.ended
  expect(nextEnd).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
  expect(nextEnd.stderr).toContain('from a snapshot')
  expect(nextEnd.stderr).toContain('template "default" found')
})

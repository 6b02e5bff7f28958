import { expect, inject, onTestFinished, test } from 'vitest'
import { SnapshotImages } from '../../src/providers/docker/snapshot/snapshot-images.ts'
import { engine } from './support/containers.ts'
import { startVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

test('the second run starts from the snapshot that the first one left, however short it was', async () => {
  const env = { VITEST_INFRA_SNAPSHOT: 'on' }
  const first = await startVitest('seeds', { consumer, env })
  onTestFinished(async () => void (await new SnapshotImages(await engine()).removeAll(first.folder)))
  const firstEnd = await first.ended
  expect(firstEnd.exitCode).toBe(0)
  expect(firstEnd.stderr).toContain('snapshot of postgres taken in <time>, for the next run')

  const second = await startVitest('seeds', { consumer, env, after: first })
  const secondEnd = await second.ended
  expect(secondEnd).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
  expect(secondEnd.stderr).toContain('from a snapshot')
  expect(secondEnd.stderr).toContain('template "default" found')
})

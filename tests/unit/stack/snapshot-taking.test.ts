import { expect, test } from 'vitest'
import type { InfraEvent } from '../../../src/report/events.ts'
import type { KeepSnapshot } from '../../../src/services/service.ts'
import { SnapshotTaking } from '../../../src/stack/snapshot-taking.ts'
import { FakeClock } from '../support/fake-clock.ts'

const NEVER = new AbortController().signal

function begin(take: KeepSnapshot): { taking: SnapshotTaking; events: InfraEvent[] } {
  const events: InfraEvent[] = []
  const options = { service: 'postgres', report: (event: InfraEvent) => events.push(event), clock: new FakeClock() }
  return { taking: new SnapshotTaking(take, options), events }
}

test('SnapshotTaking reports a snapshot only when the run ends', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { taking, events } = begin(async () => resolve())
  await promise
  expect(events).toEqual([])
  await taking.end()
  expect(events).toEqual([{ type: 'snapshot-taken', service: 'postgres', elapsedMs: 0 }])
})

test('SnapshotTaking abandons an unfinished snapshot at the end, waits for it and reports nothing', async () => {
  let isOver = false
  const { taking, events } = begin(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    isOver = true
    throw signal.reason
  })
  await taking.end()
  expect(isOver).toBe(true)
  expect(events).toEqual([])
})

test('SnapshotTaking reports why there is no snapshot', async () => {
  const { taking, events } = begin(() => Promise.reject(new Error('no space left on device')))
  await new Promise(setImmediate)
  await taking.end()
  expect(events).toEqual([{ type: 'snapshot-failed', service: 'postgres', reason: 'no space left on device' }])
})

test('SnapshotTaking.settle() waits only for a snapshot in time', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { taking, events } = begin(() => promise)
  await taking.settle(5_000, NEVER)
  resolve()
  await taking.settle(5_000, NEVER)
  await taking.end()
  expect(events).toHaveLength(1)
})

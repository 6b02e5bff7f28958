import { expect, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'

test('systemClock.sleep() takes the given time', async () => {
  const beginMs = systemClock.now()
  await systemClock.sleep(20)
  // Timers are cut to whole milliseconds.
  expect(systemClock.now() - beginMs).toBeGreaterThanOrEqual(19)
})

test('systemClock.sleep() stops on an abort', async () => {
  const controller = new AbortController()
  const sleep = systemClock.sleep(60_000, controller.signal)
  controller.abort()
  await expect(sleep).rejects.toMatchObject({ name: 'AbortError' })
})

test('systemClock.sleep() does not start if the signal has already aborted', async () => {
  await expect(systemClock.sleep(60_000, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
})

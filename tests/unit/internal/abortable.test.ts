import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { abortable } from '../../../src/internal/abortable.ts'

const reason = new Error('the run ended')

function never(): Promise<never> {
  return new Promise(() => {})
}

test('abortable() settles as the work does', async () => {
  const { signal } = new AbortController()
  const failure = new Error('refused')
  expect(await abortable(Promise.resolve(5), signal)).toBe(5)
  await expect(abortable(Promise.reject(failure), signal)).rejects.toBe(failure)
})

test('abortable() rejects as soon as the signal aborts', async () => {
  const controller = new AbortController()
  const outcome = abortable(never(), controller.signal)
  controller.abort(reason)
  await expect(outcome).rejects.toBe(reason)
})

test('abortable() rejects if the signal has already aborted', async () => {
  await expect(abortable(never(), AbortSignal.abort(reason))).rejects.toBe(reason)
})

// Thousands of queries are asked under one signal.
test('abortable() leaves no listener', async () => {
  const { signal } = new AbortController()
  await abortable(Promise.resolve(), signal)
  await abortable(Promise.reject(reason), signal).catch(() => {})
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

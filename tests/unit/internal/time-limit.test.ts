import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { TimeLimitError, withAbandonTimeout, withTimeLimit } from '../../../src/internal/time-limit.ts'

const run = promisify(execFile)
const MODULE = new URL('../../../src/internal/time-limit.ts', import.meta.url).href

test('withTimeLimit() settles as the work does', async () => {
  expect(await withTimeLimit(1_000, async () => 'done')).toBe('done')
  await expect(withTimeLimit(1_000, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
})

test('withTimeLimit() aborts the work at the limit, and says how long that was', async () => {
  let signal: AbortSignal | undefined
  const work = (given: AbortSignal) => {
    signal = given
    return new Promise<never>(() => {})
  }
  await expect(withTimeLimit(20, work)).rejects.toThrow(new TimeLimitError('no answer within 20 ms'))
  expect(signal?.aborted).toBe(true)
})

test("withTimeLimit() rejects with the outer signal's reason", async () => {
  const outer = new AbortController()
  const waiting = withTimeLimit(60_000, () => new Promise<never>(() => {}), outer.signal)
  outer.abort(new Error('the run ended'))
  await expect(waiting).rejects.toThrow('the run ended')
})

// With AbortSignal.timeout() Node exits with 13, or with 0 in a process without a top-level await.
test('withTimeLimit() keeps the process alive until the time is over', async () => {
  const script = `
    const { withTimeLimit } = await import('${MODULE}')
    void withTimeLimit(50, () => new Promise(() => {})).catch((error) => console.log(error.message))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script])
  expect(stdout).toBe('no answer within 50 ms\n')
})

test('withAbandonTimeout() aborts at the limit, not if the work is done earlier', async () => {
  const [early, late] = await Promise.all([
    withAbandonTimeout(60_000, async (abandon) => abandon),
    withAbandonTimeout(20, async (abandon) => {
      await new Promise((resolve) => abandon.addEventListener('abort', resolve))
      return abandon
    }),
  ])
  expect([early.aborted, late.aborted]).toEqual([false, true])
})

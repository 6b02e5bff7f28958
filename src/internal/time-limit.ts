import { abortable } from './abortable.ts'

const SECOND_MS = 1_000

/** Thrown when work exceeds its timeout. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError'
}

/**
 * Calls `work` and settles like its promise, but rejects after `limitMs` or when `outer` aborts. The signal that `work`
 * gets then aborts, too.
 *
 * Unlike the timer of `AbortSignal.timeout()`, this one keeps the process alive until `work` has settled or the timeout
 * has expired.
 *
 * @throws {TimeLimitError} after `limitMs`
 */
export async function withTimeLimit<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(timeLimitError(limitMs)), limitMs)
  const signal = outer ? AbortSignal.any([outer, limit.signal]) : limit.signal
  try {
    return await abortable(work(signal), signal)
  } catch (error) {
    // An aborted operation may reject with an error of its own. The caller gets the timeout error instead.
    throw limit.signal.aborted && !outer?.aborted ? limit.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Calls `work` and settles like its promise. The signal `abandon` aborts after `limitMs`, when the caller no longer
 * waits.
 */
export async function withAbandonTimeout<T>(limitMs: number, work: (abandon: AbortSignal) => Promise<T>): Promise<T> {
  const abandon = new AbortController()
  const timer = setTimeout(() => abandon.abort(), limitMs)
  return work(abandon.signal).finally(() => clearTimeout(timer))
}

export function timeLimitError(limitMs: number): TimeLimitError {
  const limit = limitMs < SECOND_MS ? `${limitMs} ms` : `${limitMs / SECOND_MS} s`
  return new TimeLimitError(`no answer within ${limit}`)
}

import { abortable } from './abortable.ts'

const SECOND_MS = 1_000

/** Says that something took longer than it may. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError'
}

/**
 * Settles as `work` does, which gets a signal that aborts after `limitMs` or with `outer`, or rejects when it aborts.
 *
 * To be used in place of `AbortSignal.timeout()`, whose timer does not keep the process alive: this one
 * holds the process until `work` has settled or the time is over.
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
    // Whatever is aborted fails in words of its own.
    throw limit.signal.aborted && !outer?.aborted ? limit.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

/** Runs `work` with a signal that says, after `limitMs`, that it is not awaited any more. */
export async function withLetGo<T>(limitMs: number, work: (letGo: AbortSignal) => Promise<T>): Promise<T> {
  const letGo = new AbortController()
  const timer = setTimeout(() => letGo.abort(), limitMs)
  return work(letGo.signal).finally(() => clearTimeout(timer))
}

export function timeLimitError(limitMs: number): TimeLimitError {
  const limit = limitMs < SECOND_MS ? `${limitMs} ms` : `${limitMs / SECOND_MS} s`
  return new TimeLimitError(`no answer within ${limit}`)
}

/** Returns a promise that settles like `work`, or rejects with the signal's reason as soon as the signal aborts. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return raceAbort(work, signal, ({ reject }) => reject(signal.reason))
}

/**
 * Returns a promise that settles like `work`, or resolves to undefined as soon as `abandon` aborts. The outcome of `work`
 * is then ignored.
 */
export function unlessAbandoned<T>(work: Promise<T>, abandon: AbortSignal): Promise<T | undefined> {
  return raceAbort<T | undefined>(work, abandon, ({ resolve }) => resolve(undefined))
}

function raceAbort<T>(
  work: Promise<T>,
  signal: AbortSignal,
  settle: (race: PromiseWithResolvers<T>) => void,
): Promise<T> {
  const aborted = Promise.withResolvers<T>()
  const abort = () => settle(aborted)
  if (signal.aborted) {
    abort()
  }
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', abort))
}

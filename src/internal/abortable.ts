/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts, whatever `work` is waiting for. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return raceAbort(work, signal, ({ reject }) => reject(signal.reason))
}

/** Settles as `work` does, or resolves as soon as the signal aborts: then the outcome of `work` is dropped. */
export function unlessLetGo<T>(work: Promise<T>, letGo: AbortSignal): Promise<T | undefined> {
  return raceAbort<T | undefined>(work, letGo, ({ resolve }) => resolve(undefined))
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

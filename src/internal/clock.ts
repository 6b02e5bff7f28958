import { setTimeout as sleep } from 'node:timers/promises'

/** Time as the code sees it; tests replace it so that waiting costs nothing. */
export interface Clock {
  /** Milliseconds from a fixed but arbitrary point; never goes back. */
  now(): number
  /** Resolves after `ms`; rejects when the signal aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : undefined),
}

import { setTimeout as sleep } from 'node:timers/promises'

/** The source of time, which tests replace to avoid waiting. */
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

import { setTimeout as sleep } from 'node:timers/promises'

/** A source of time. Tests replace it to avoid waiting. */
export interface Clock {
  /** Returns the milliseconds since a fixed but arbitrary point. The value never decreases. */
  now(): number
  /** Resolves after `ms` milliseconds, or rejects as soon as the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : undefined),
}

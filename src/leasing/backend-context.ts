import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'

/** Settings of the run that the backends of all services share. */
export interface BackendContext {
  readonly root: string
  readonly runId: string
  /** The maximum number of concurrent workers of the run. */
  readonly workers: number
  /** Whether the run uses and takes snapshots. */
  readonly snapshots: boolean
  /** Time within which a server must become usable, in milliseconds. */
  readonly startupTimeoutMs: number
  readonly report: Report
  readonly clock: Clock
}

/**
 * Returns how many idle servers to keep ready. About half the number of workers is enough, because most test files take
 * longer than a server's start.
 */
export function readyServers({ workers }: BackendContext): number {
  return Math.ceil(workers / 2) + 1
}

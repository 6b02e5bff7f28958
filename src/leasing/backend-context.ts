import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'

/** What the backends of all services have in common. */
export interface BackendContext {
  readonly root: string
  readonly runId: string
  /** How many workers the run may have at once. */
  readonly workers: number
  /** Whether snapshots are used and taken. */
  readonly snapshots: boolean
  /** Time within which a server must become usable, in milliseconds. */
  readonly startupTimeoutMs: number
  readonly report: Report
  readonly clock: Clock
}

/** How many idle servers to have ready: fewer than workers, as most test files take longer than a server's start. */
export function readyServers({ workers }: BackendContext): number {
  return Math.ceil(workers / 2) + 1
}

import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'

/** What the parts of a stack have in common. */
export interface PartContext {
  readonly root: string
  readonly runId: string
  /** How many workers the run may have at once. */
  readonly workers: number
  /** Whether snapshots are used and taken. */
  readonly snapshots: boolean
  /** Within how many milliseconds a server must serve. */
  readonly startupTimeoutMs: number
  readonly report: Report
  readonly clock: Clock
}

/** How many servers to keep ready, in addition to those that files hold: most files take longer than starting one. */
export function readyServers({ workers }: PartContext): number {
  return Math.ceil(workers / 2) + 1
}

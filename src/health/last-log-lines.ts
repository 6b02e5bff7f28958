import { messageOf } from '../errors.ts'
import { withTimeLimit } from '../internal/time-limit.ts'
import type { StartedService } from '../services/service.ts'

const TIMEOUT_MS = 3_000

/**
 * Returns the last lines of a server's log for an error message; if they cannot be read, returns the reason instead.
 */
export function readLastLogLines(started: Pick<StartedService, 'logTail'>, count: number): Promise<string> {
  return withTimeLimit(TIMEOUT_MS, () => started.logTail(count)).catch(
    (error: unknown) => `(its log cannot be read: ${messageOf(error)})`,
  )
}

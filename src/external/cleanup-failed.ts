import { InfraError, messageOf } from '../errors.ts'

/** Creates the error for an external server that could not be cleaned up at the end of a run. */
export function cleanupFailed(service: string, what: string, error: unknown): InfraError {
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot release the ${what} of this run on service "${service}": ${messageOf(error)}`,
    remedy: 'Make sure that the server is running; the next run on it removes the leftovers of this run',
    service,
    provider: 'external',
    cause: error,
  })
}

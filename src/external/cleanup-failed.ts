import { InfraError, messageOf } from '../errors.ts'

/** The error if an external server cannot be cleaned up at the end of a run. */
export function cleanupFailed(service: string, what: string, error: unknown): InfraError {
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot give back the ${what} of this run to service "${service}": ${messageOf(error)}`,
    remedy: 'See to it that the server runs; the next run on it removes what this one has left',
    service,
    provider: 'external',
    cause: error,
  })
}

import { InfraError, messageOf } from '../errors.ts'

/** For a server that was there before the run and is not there at its end. */
export function notGivenBack(service: string, what: string, error: unknown): InfraError {
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot give back the ${what} of this run to service "${service}": ${messageOf(error)}`,
    remedy: 'See to it that the server runs; the next run on it removes what this one has left',
    service,
    provider: 'external',
    cause: error,
  })
}

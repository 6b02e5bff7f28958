import { InfraError } from '../errors.ts'
import type { LeasedService, ServerAction } from './lease-protocol.ts'

/** For a service that the stack does not have. */
export function serviceMissing(service: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot lease from service "${service}": it is not part of the stack`,
    remedy: `Add '${service}' to services`,
    service,
  })
}

/** For a server that a test may not control: others use it too. */
export function serviceShared(service: LeasedService, action: ServerAction, isLeased: boolean): InfraError {
  return new InfraError('INFRA_SERVICE_SHARED', {
    problem: `Cannot ${action} service "${service}": other test files use the same server`,
    remedy: isLeased
      ? `Set ${service}.isolation to 'server', so that every file has a server of its own`
      : `Set isolation to 'file' or 'worker' for this project, and ${service}.isolation to 'server'`,
    service,
  })
}

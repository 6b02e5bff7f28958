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

/** For a server that was there before the run, and is not the run's to control. */
export function serviceExternal(service: LeasedService, action: ServerAction): InfraError {
  return new InfraError('INFRA_SERVICE_SHARED', {
    problem: `Cannot ${action} service "${service}": it was there before the run, and others may use it`,
    remedy: "Take the provider 'docker' or 'embedded' for tests that control servers",
    service,
    provider: 'external',
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

import { InfraError } from '../errors.ts'
import type { Leased, LeasedService, ServerAction } from './lease-source.ts'

/**
 * Controls the server of a lease.
 *
 * @throws InfraError `INFRA_SERVICE_SHARED` if other files use the server, too
 */
export async function controlServer(leased: Leased, service: LeasedService, action: ServerAction): Promise<void> {
  const { database, redis, sources } = leased
  const { stack, databases, redises } = sources
  if (stack[service] === undefined) {
    throw serviceMissing(service)
  }
  if (stack.provider === 'external') {
    throw serviceExternal(service, action)
  }
  if (service === 'postgres' && database !== undefined && databases.control) {
    await databases.control(database, action)
  } else if (service === 'redis' && redis && redises.control) {
    await redises.control(redis, action)
  } else {
    throw serviceShared(service, action, (service === 'postgres' ? database : redis) !== undefined)
  }
}

/** Returns the error for a service that is not part of the stack. */
export function serviceMissing(service: string): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot lease from service "${service}": it is not part of the stack`,
    remedy: `Add '${service}' to services`,
    service,
  })
}

function serviceExternal(service: LeasedService, action: ServerAction): InfraError {
  return new InfraError('INFRA_SERVICE_SHARED', {
    problem: `Cannot ${action} service "${service}": it was there before the run, and others may use it`,
    remedy: "Use provider 'docker' or 'embedded' for tests that stop or restart servers",
    service,
    provider: 'external',
  })
}

function serviceShared(service: LeasedService, action: ServerAction, isLeased: boolean): InfraError {
  return new InfraError('INFRA_SERVICE_SHARED', {
    problem: `Cannot ${action} service "${service}": other test files use the same server`,
    remedy: isLeased
      ? `Set ${service}.isolation to 'server', so that every file has a server of its own`
      : `Set isolation to 'file' or 'worker' for this project, and ${service}.isolation to 'server'`,
    service,
  })
}

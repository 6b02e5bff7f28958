import { variableNames } from '../environment/environment-layers.ts'
import { InfraError } from '../errors.ts'
import { parseDurationMs } from '../internal/duration.ts'
import type { InfraService } from './infra-service.ts'

/** A port as a number; `where` names the variable or option it came from. */
export function parsePort(value: string | number, where: string): number {
  const port = typeof value === 'number' ? value : /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InfraError('INFRA_PORT_INVALID', {
      problem: `Cannot use ${where}: "${value}" is not a port`,
      remedy: `Set ${where} to a whole number from 1 to 65535`,
    })
  }
  return port
}

/** Throws unless every name stands once. */
export function assertUniqueNames(names: readonly string[]): void {
  const duplicate = names.find((name, index) => names.indexOf(name) !== index)
  if (duplicate !== undefined) {
    throw new InfraError('INFRA_NAME_DUPLICATE', {
      problem: `Cannot use the services ${names.map((name) => `"${name}"`).join(', ')}: "${duplicate}" stands twice`,
      remedy: 'Give every service a name of its own',
      service: duplicate,
    })
  }
}

/** Throws unless the declared healthcheck keeps asking for as long as a cold start may take. */
export function assertHealthcheckWindow(service: InfraService, startupTimeoutMs: number): void {
  const { interval, retries, timeout } = service.healthcheck
  parseDurationMs(timeout, `${service.name}.healthcheck.timeout`)
  const windowMs = parseDurationMs(interval, `${service.name}.healthcheck.interval`) * retries
  if (windowMs < startupTimeoutMs) {
    throw new InfraError('INFRA_HEALTHCHECK_WINDOW', {
      problem:
        `Cannot use the healthcheck of service "${service.name}": ${retries} retries every ${interval} ` +
        `end after ${windowMs} ms, but a cold start may take ${startupTimeoutMs} ms`,
      remedy: `Raise ${service.name}.healthcheck.retries or interval, or lower startupTimeoutMs`,
      service: service.name,
    })
  }
}

/** Throws unless `.env.example` names the variable that holds each service's port. */
export function assertPortVariables(services: readonly InfraService[], envExample: string): void {
  const known = variableNames(envExample)
  const missing = services.find((service) => !known.includes(service.envPortVar))
  if (missing) {
    throw new InfraError('INFRA_PORT_VARIABLE_MISSING', {
      problem: `Cannot find the port of service "${missing.name}": .env.example does not name ${missing.envPortVar}`,
      remedy: `Add ${missing.envPortVar}=${missing.defaultPort} to .env.example`,
      service: missing.name,
    })
  }
}

import { variableNames } from '../environment/environment-layers.ts'
import { InfraError } from '../errors.ts'
import { parseDurationMs } from '../internal/duration.ts'
import type { InfraService } from './infra-service.ts'

/** Parses a port. `where` is the name of its variable or option, for the error. */
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

/** Throws if a name occurs twice. */
export function assertUniqueNames(names: readonly string[], what: 'services' | 'templates'): void {
  const duplicate = names.find((name, index) => names.indexOf(name) !== index)
  if (duplicate !== undefined) {
    throw new InfraError('INFRA_NAME_DUPLICATE', {
      problem: `Cannot use the ${what} ${names.map((name) => `"${name}"`).join(', ')}: "${duplicate}" stands twice`,
      remedy: `Give each of the ${what} a name of its own`,
    })
  }
}

/** Throws if a user-defined service has the name of a built-in one. */
export function assertNotBuiltIn(names: readonly string[], builtIn: readonly string[]): void {
  const known = names.find((name) => builtIn.includes(name))
  if (known !== undefined) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use services.${known}: ${known} is built in, and cannot be described anew`,
      remedy: `Put its options under ${known}; services.${known}: false leaves it out`,
      service: known,
    })
  }
}

/** Throws if two services are pinned to the same port of this machine. */
export function assertDistinctPorts(
  services: readonly { readonly service: InfraService; readonly hostPort: number | undefined }[],
): void {
  for (const { service, hostPort } of services) {
    const rival = services.find((other) => other.service !== service && other.hostPort === hostPort)
    if (hostPort !== undefined && rival) {
      throw new InfraError('INFRA_PORT_INVALID', {
        problem: `Cannot publish service "${rival.service.name}" on port ${hostPort}: service "${service.name}" has it`,
        remedy: `Give ${rival.service.name}.port another number, or leave it at 'random'`,
        service: rival.service.name,
      })
    }
  }
}

/** Throws unless the healthcheck's `interval` × `retries` cover the startup timeout. */
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

/**
 * Throws if a service has the isolation `'server'`. Call it only for the provider `'external'`, which starts no
 * servers.
 */
export function assertOwnServers(spec: {
  readonly postgres: { readonly isolation: string } | undefined
  readonly redis: { readonly isolation: string } | undefined
}): void {
  const service = (['postgres', 'redis'] as const).find((name) => spec[name]?.isolation === 'server')
  if (service) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${service}.isolation 'server' with the provider "external": it uses existing servers and cannot start others`,
      remedy: `Leave ${service}.isolation at 'database', or take the provider 'docker' or 'embedded'`,
      service,
      provider: 'external',
    })
  }
}

/** Throws if `restart` is set for a server that this run does not start. */
export function assertNoneRestarted(
  services: readonly { readonly service: InfraService; readonly restart: boolean }[],
): void {
  const restarted = services.find(({ restart }) => restart)
  if (restarted) {
    const { name } = restarted.service
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use restart for service "${name}" with the provider "external": its server is not ours to start`,
      remedy: `Leave restart out of the options of ${name}, or take the provider 'docker' or 'embedded'`,
      service: name,
      provider: 'external',
    })
  }
}

/**
 * Throws if the isolation is `'schema'` and the provider is not `'external'`, or a template has extensions, which exist
 * once per database.
 */
export function assertSchemasPossible(
  provider: string,
  {
    isolation,
    templates,
  }: {
    readonly isolation: string
    readonly templates: readonly { readonly name: string; readonly extensions: readonly string[] }[]
  },
): void {
  if (isolation !== 'schema') {
    return
  }
  if (provider !== 'external') {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use postgres.isolation 'schema' with the provider "${provider}": it is for roles of somebody else's server that may not create databases`,
      remedy: "Leave postgres.isolation at 'database', or take the provider 'external'",
      service: 'postgres',
    })
  }
  const extended = templates.find(({ extensions }) => extensions.length > 0)
  if (extended) {
    const [extension = ''] = extended.extensions
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot create extension "${extension}" with postgres.isolation 'schema': a database has it once, in one of its schemas`,
      remedy: `Have it created beforehand, such as by CREATE EXTENSION "${extension.replaceAll('"', '""')}" SCHEMA public; then add ?options=-c%20search_path=public to the URL, and take it out of extensions`,
      service: 'postgres',
      provider: 'external',
    })
  }
}

/** The error for the isolation `'schema'` if no database is configured. */
export function databaseNotSaid(): InfraError {
  return new InfraError('INFRA_CONFIG_INVALID', {
    problem: "Cannot use postgres.isolation 'schema': nothing names the database in which to make schemas",
    remedy: 'Add it to the URL, as in postgres://user:password@host:5432/database, or set DB_NAME',
    service: 'postgres',
    provider: 'external',
  })
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

/** Throws unless a template with this name is defined. */
export function assertTemplate(name: string, templates: readonly { readonly name: string }[]): void {
  if (!templates.some((template) => template.name === name)) {
    throw templateUnknown(
      name,
      templates.map((template) => template.name),
    )
  }
}

/** The error for a template that is not defined. */
export function templateUnknown(name: string, known: readonly string[]): InfraError {
  return new InfraError('INFRA_TEMPLATE_UNKNOWN', {
    problem: `Cannot use template "${name}": there are only ${known.map((other) => `"${other}"`).join(', ')}`,
    remedy: 'Add it to templates in infra.config.ts, or correct the name',
    service: 'postgres',
  })
}

/** Sorts templates so that each follows the one that it extends. Throws for a cycle or an unknown template. */
export function inOrderOfLayers<T extends { readonly name: string; readonly from: string | undefined }>(
  templates: readonly T[],
): readonly T[] {
  const ordered = new Set<T>()
  const add = (template: T, above: readonly string[]): void => {
    if (above.includes(template.name)) {
      throw new InfraError('INFRA_TEMPLATE_CYCLE', {
        problem: `Cannot build template "${template.name}": it is made from itself, ${[...above, template.name].join(' ← ')}`,
        remedy: `Correct templates.${template.name}.from`,
        service: 'postgres',
      })
    }
    if (template.from !== undefined) {
      assertTemplate(template.from, templates)
      templates.filter(({ name }) => name === template.from).forEach((below) => add(below, [...above, template.name]))
    }
    ordered.add(template)
  }
  templates.forEach((template) => add(template, []))
  return [...ordered]
}

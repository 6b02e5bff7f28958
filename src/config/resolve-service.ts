import type { VariableLookup } from '../environment/environment-layers.ts'
import type { ProviderName } from '../environment/infra-facts.ts'
import { parseDurationMs } from '../internal/duration.ts'
import type { InfraOptions } from './infra-options.ts'
import { type Healthcheck, type InfraService, variablePrefix } from './infra-service.ts'
import { parsePort } from './rules.ts'

/** A service with defaults applied, and its port on this machine. */
export interface ResolvedService {
  readonly service: InfraService
  /** The port on this machine; undefined for a free one that the engine picks. */
  readonly hostPort: number | undefined
  /** Whether the server is restarted if it exits during tests. */
  readonly restart: boolean
}

/** The inputs from which every part of the spec is resolved. */
export interface Settle {
  readonly options: InfraOptions
  readonly lookup: VariableLookup
  readonly provider: 'auto' | ProviderName
  readonly startupTimeoutMs: number
}

/** The options that a user can set for any service. */
export interface GivenService {
  readonly image?: string | undefined
  readonly port?: { readonly option: string; readonly value: number | 'random' | 'env' } | undefined
  readonly healthcheck?: Partial<Healthcheck> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly restart?: boolean | undefined
}

/** Resolves a service: the user's options override variables, which override the defaults. */
export function resolveService(defaults: InfraService, given: GivenService, settle: Settle): ResolvedService {
  const { options, lookup, provider, startupTimeoutMs } = settle
  const service: InfraService = {
    ...defaults,
    image: given.image ?? lookup(imageVariable(defaults.name)) ?? defaults.image,
    healthcheck: resolveHealthcheck(defaults, given, startupTimeoutMs),
    labels: { ...options.labels, ...given.labels },
  }
  // An external server already has its port.
  const hostPort = provider === 'external' ? undefined : resolveHostPort(service, given, lookup)
  return { service, hostPort, restart: given.restart ?? false }
}

export function imageVariable(name: string): string {
  return `VITEST_INFRA_${variablePrefix(name)}_IMAGE`
}

/**
 * Applies the healthcheck's defaults. Unless set, `retries` is high enough for the startup timeout and at least the
 * default.
 */
function resolveHealthcheck(defaults: InfraService, given: GivenService, startupTimeoutMs: number): Healthcheck {
  const healthcheck = { ...defaults.healthcheck, ...given.healthcheck }
  const intervalMs = parseDurationMs(healthcheck.interval, `${defaults.name}.healthcheck.interval`)
  const needed = Math.ceil(startupTimeoutMs / intervalMs)
  return { ...healthcheck, retries: given.healthcheck?.retries ?? Math.max(healthcheck.retries, needed) }
}

function resolveHostPort(service: InfraService, { port }: GivenService, lookup: VariableLookup): number | undefined {
  if (port === undefined || port.value === 'random') {
    return undefined
  }
  return port.value === 'env'
    ? parsePort(lookup(service.envPortVar) ?? service.defaultPort, lookup.placeOf(service.envPortVar))
    : parsePort(port.value, port.option)
}

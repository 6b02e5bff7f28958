import { BASE_VARIABLES, type PostgresAddress, type RedisAddress } from '../environment/variable-set.ts'
import type { VariableLookup } from '../environment/environment-layers.ts'
import { InfraError } from '../errors.ts'
import type { BuiltInServiceName } from '../register.ts'
import type { ExternalOptions } from './infra-options.ts'
import { DEFAULT_SERVICES, type InfraService, variablePrefix } from './infra-service.ts'
import { parsePort } from './rules.ts'

const ALLOWED_HOSTS_VARIABLE = 'VITEST_INFRA_ALLOWED_HOSTS'

/** Host names and addresses that always refer to this machine. */
const THIS_MACHINE = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i

/** URL parameters that are rejected: drivers would use them instead of the values before the `?`. */
const REDIRECTING = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname', 'database', 'service', 'servicefile']

/** The variables that hold the URLs of external servers, by service. */
export const URL_VARIABLES: Readonly<Record<string, string>> = { postgres: 'DATABASE_URL', redis: 'REDIS_URL' }

/** Display names of the built-in services, for messages. */
const TITLES: Readonly<Record<string, string>> = { postgres: 'PostgreSQL', redis: 'Redis' }

const HOST_AND_PORT = /^(?:\[([^\]\s]+)\]|([^:\s/@]+)):(\d+)$/

/** Address and credentials of an external server; `database` is undefined if none is configured. */
export type ExternalPostgres = Omit<PostgresAddress, 'database' | 'schema'> & Partial<Pick<PostgresAddress, 'database'>>
export type ExternalRedis = Omit<RedisAddress, 'database'>

interface Given {
  readonly options: ExternalOptions
  readonly lookup: VariableLookup
}

/**
 * Resolves the address and credentials of the external PostgreSQL from the options, else from variables.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` if no address is configured or a URL is invalid; `INFRA_HOST_REFUSED` for a
 * host that is neither this machine nor allowed
 */
export function resolveExternalPostgres(given: Given): ExternalPostgres {
  const { options, lookup } = given
  const [url, source] = options.postgres
    ? [options.postgres, 'external.postgres']
    : [lookup('DATABASE_URL'), lookup.placeOf('DATABASE_URL')]
  const user = lookup('DB_USER') ?? lookup('POSTGRES_USER') ?? BASE_VARIABLES.POSTGRES_USER
  const password = lookup('DB_PASSWORD') ?? lookup('POSTGRES_PASSWORD') ?? BASE_VARIABLES.POSTGRES_PASSWORD
  if (url === undefined) {
    const place = resolveHost(
      DEFAULT_SERVICES.postgres,
      { host: 'DB_HOST', ports: ['DB_PORT', 'POSTGRES_PORT'] },
      given,
    )
    const database = lookup('DB_NAME') ?? lookup('POSTGRES_DB')
    return { ...place, user, password, ...(database && { database }) }
  }
  const parsed = parseUrl(url, { service: 'postgres', source, schemes: ['postgres', 'postgresql'] })
  assertAllowed(parsed.host, { service: 'postgres', source }, given)
  const { host, port, database, parameters } = parsed
  assertNotRedirected(parameters, source)
  return {
    host,
    port,
    user: parsed.user ?? user,
    password: parsed.password ?? password,
    ...(database && { database }),
    ...(parameters && { parameters }),
  }
}

/** Resolves the address and credentials of the external Redis; throws like {@link resolveExternalPostgres}. */
export function resolveExternalRedis(given: Given): ExternalRedis {
  const { options, lookup } = given
  const [url, source] = options.redis
    ? [options.redis, 'external.redis']
    : [lookup('REDIS_URL'), lookup.placeOf('REDIS_URL')]
  if (url === undefined) {
    const place = resolveHost(DEFAULT_SERVICES.redis, { host: 'REDIS_HOST', ports: ['REDIS_PORT'] }, given)
    return withCredentials(place, lookup('REDIS_USER'), lookup('REDIS_PASSWORD'))
  }
  const parsed = parseUrl(url, { service: 'redis', source, schemes: ['redis', 'rediss'] })
  assertAllowed(parsed.host, { service: 'redis', source }, given)
  const { host, port, scheme, user, password } = parsed
  return withCredentials({ host, port, ...(scheme === 'rediss' && { tls: true }) }, user, password)
}

/** Resolves the address of a user-defined external service; throws like {@link resolveExternalPostgres}. */
export function resolveExternalCustom(service: InfraService, given: Given): { host: string; port: number } {
  const { name, envPortVar } = service
  const text = given.options.services?.[name]
  if (text === undefined) {
    return resolveHost(service, { host: `${variablePrefix(name)}_HOST`, ports: [envPortVar] }, given)
  }
  const source = `external.services.${name}`
  const [, bracketed, plain, port = ''] = HOST_AND_PORT.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${source}: "${text}" is no address such as localhost:${service.defaultPort}`,
      remedy: `Correct ${source}; write an address of IPv6 in brackets`,
      service: name,
      provider: 'external',
    })
  }
  assertAllowed(host, { service: name, source }, given)
  return { host, port: parsePort(port, source) }
}

function withCredentials(place: ExternalRedis, user: string | undefined, password: string | undefined): ExternalRedis {
  return { ...place, ...(user !== undefined && { user }), ...(password !== undefined && { password }) }
}

interface HostVariables {
  readonly host: string
  /** The names of the port's variables. The first one that is set is used. */
  readonly ports: readonly [string, ...string[]]
}

function resolveHost({ name, defaultPort }: InfraService, variables: HostVariables, given: Given) {
  const { lookup } = given
  const host = lookup(variables.host)
  if (host === undefined) {
    throw notSaid(name, variables.host)
  }
  assertAllowed(host, { service: name, source: lookup.placeOf(variables.host) }, given)
  const variable = variables.ports.find((port) => lookup(port) !== undefined) ?? variables.ports[0]
  return { host, port: parsePort(lookup(variable) ?? defaultPort, lookup.placeOf(variable)) }
}

interface UrlOptions {
  readonly service: BuiltInServiceName
  readonly source: string
  readonly schemes: readonly string[]
}

function parseUrl(text: string, { service, source, schemes }: UrlOptions) {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const scheme = url?.protocol.slice(0, -1) ?? ''
  if (!url || !schemes.includes(scheme) || url.hostname === '') {
    throw notAUrl(service, source)
  }
  try {
    return {
      scheme,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: parsePort(url.port || DEFAULT_SERVICES[service].defaultPort, source),
      user: url.username === '' ? undefined : decodePart(url.username),
      password: url.password === '' ? undefined : decodePart(url.password),
      database: decodePart(url.pathname.slice(1)),
      parameters: url.search.slice(1),
    }
  } catch {
    throw notAUrl(service, source)
  }
}

function decodePart(text: string): string {
  const decoded = decodeURIComponent(text)
  if (decoded.includes('\0')) {
    throw new TypeError('no server can be told of a NUL character')
  }
  return decoded
}

/**
 * Throws unless the host is this machine or allowed. This is checked before any connection, because `DATABASE_URL` may
 * point to a database with real data.
 */
function assertAllowed(
  host: string,
  { service, source }: { readonly service: string; readonly source: string },
  { options, lookup }: Given,
): void {
  const named = options.allowedHosts ?? lookup(ALLOWED_HOSTS_VARIABLE)?.split(',') ?? []
  const isAllowed = named.some((allowed) => allowed.trim().toLowerCase() === host.toLowerCase())
  if (!isAllowed && !THIS_MACHINE.test(host)) {
    throw new InfraError('INFRA_HOST_REFUSED', {
      problem: `Cannot use the ${TITLES[service] ?? service} on "${host}", which ${source} names: it is neither on this machine nor among the allowed hosts`,
      remedy: `Let ${source} lead to a test server; if that is one, add '${host}' to external.allowedHosts or to ${ALLOWED_HOSTS_VARIABLE}`,
      service,
      provider: 'external',
    })
  }
}

function assertNotRedirected(parameters: string, source: string): void {
  const name = [...new URLSearchParams(parameters).keys()].find((key) => REDIRECTING.includes(key.toLowerCase()))
  if (name !== undefined) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${source}: its parameter "${name}" says again what stands in front of the "?"`,
      remedy: `Take ${name} out of it; host, port, user and password stand at their place in the URL`,
      service: 'postgres',
      provider: 'external',
    })
  }
}

/** The error for an invalid URL. It does not contain the URL, which may have a password anywhere. */
function notAUrl(service: BuiltInServiceName, source: string): InfraError {
  return new InfraError('INFRA_CONFIG_INVALID', {
    problem: `Cannot use ${source}: it is no URL such as ${service}://user:password@localhost:${DEFAULT_SERVICES[service].defaultPort}`,
    remedy: `Correct ${source}; write @ : / ? # and % in user and password as %40 %3A %2F %3F %23 %25`,
    service,
    provider: 'external',
  })
}

function notSaid(service: string, hostVariable: string): InfraError {
  const url = URL_VARIABLES[service]
  const option = url ? `external.${service}` : `external.services.${service}`
  return new InfraError('INFRA_CONFIG_INVALID', {
    problem: `Cannot use the provider "external": nothing says where ${TITLES[service] ?? service} is`,
    remedy: `Set ${url ? `${url}, or ` : ''}${hostVariable}, or ${option}; or leave '${service}' out of services`,
    service,
    provider: 'external',
  })
}

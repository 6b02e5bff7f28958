/** The variables from which an application reads the addresses of the services. */
export interface EnvironmentVariableSet {
  readonly POSTGRES_USER: string
  readonly POSTGRES_PASSWORD: string
  readonly POSTGRES_DB: string
  readonly POSTGRES_PORT: string
  readonly REDIS_PORT: string
  readonly DB_HOST: string
  readonly DB_PORT: string
  readonly DB_USER: string
  readonly DB_PASSWORD: string
  readonly DB_NAME: string
  readonly REDIS_HOST: string
  readonly REDIS_URL: string
}

/** The variables that `.env` can set, with their defaults. The other variables are derived from them. */
export const BASE_VARIABLES = {
  POSTGRES_USER: 'postgres',
  POSTGRES_PASSWORD: 'postgres',
  POSTGRES_DB: 'app',
  POSTGRES_PORT: '5432',
  REDIS_PORT: '6379',
} as const

export interface PostgresAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The query of a URL, such as `sslmode=require`. */
  readonly parameters?: string
  /** The schema that is first in the search path; `parameters` set it. Undefined for the server's default. */
  readonly schema?: string
}

export interface RedisAddress {
  readonly host: string
  readonly port: number
  /** The logical database; undefined for database 0. */
  readonly database?: number
  readonly user?: string
  readonly password?: string
  readonly tls?: true
}

/** Returns a `postgres://` URL with each component percent-encoded. */
export function postgresUrl({ host, port, user, password, database, parameters }: PostgresAddress): string {
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  const query = parameters === undefined ? '' : `?${parameters}`
  return `postgres://${credentials}@${urlHost(host)}:${port}/${encodePath(database)}${query}`
}

/** Matches a search path in the `options` of a URL. */
const SEARCH_PATH = /(?:^|\s)-c\s*search_path=(\S+)/

/** Returns the address with a schema first in the search path of its URL. */
export function inSchema(
  place: PostgresAddress,
  schema: string,
): PostgresAddress & Required<Pick<PostgresAddress, 'schema' | 'parameters'>> {
  const parameters = new URLSearchParams(place.parameters)
  const options = parameters.get('options') ?? ''
  const path = [schema, SEARCH_PATH.exec(options)?.[1]].filter(Boolean).join()
  // If an option occurs twice, the last one wins.
  parameters.set('options', `${options} -c search_path=${path}`.trim())
  // URLSearchParams writes a space as plus, which PostgreSQL does not decode.
  return { ...place, schema, parameters: parameters.toString().replaceAll('+', '%20') }
}

/** Returns a `redis://` URL with the logical database as its path. */
export function redisUrl({ host, port, database, user = '', password, tls }: RedisAddress): string {
  const credentials = password === undefined ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
  const path = database === undefined ? '' : `/${database}`
  return `${tls ? 'rediss' : 'redis'}://${credentials}${urlHost(host)}:${port}${path}`
}

/** Returns the variables with the address of a PostgreSQL database. */
export function postgresVariables(address: PostgresAddress): Record<string, string> {
  const { host, port, user, password, database, schema, parameters } = address
  return {
    POSTGRES_USER: user,
    POSTGRES_PASSWORD: password,
    POSTGRES_DB: database,
    POSTGRES_PORT: String(port),
    DB_HOST: host,
    DB_PORT: String(port),
    DB_USER: user,
    DB_PASSWORD: password,
    DB_NAME: database,
    DATABASE_URL: postgresUrl(address),
    // For code that does not read the URL: pg and libpq apply these options.
    ...(schema !== undefined && { PGOPTIONS: new URLSearchParams(parameters).get('options') ?? '' }),
  }
}

/**
 * Returns defaults for connection settings that a client omits. `psql`, all libpq clients and most drivers read them.
 */
export function libpqVariables({ host, port, user, password, database }: PostgresAddress): Record<string, string> {
  return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database }
}

/** Returns the variables with the address of a Redis, also as single components for code that does not read the URL. */
export function redisVariables(address: RedisAddress): Record<string, string> {
  const { host, port, database, user, password } = address
  return {
    REDIS_HOST: host,
    REDIS_PORT: String(port),
    ...(database !== undefined && { REDIS_DB: String(database) }),
    ...(user !== undefined && { REDIS_USER: user }),
    ...(password !== undefined && { REDIS_PASSWORD: password }),
    REDIS_URL: redisUrl(address),
  }
}

/** Uses `encodeURI`, as pg decodes a path with `decodeURI`; `/`, `?` and `#` need escapes in addition. */
function encodePath(text: string): string {
  return encodeURI(text).replaceAll(/[/?#]/g, encodeURIComponent)
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

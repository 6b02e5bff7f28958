/** Everything an application reads to reach the services. Values are text, as in any environment. */
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

/** The part of the variable set that `.env` holds; the rest is derived from it. */
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
  /** The part of a URL after `?`, such as `sslmode=require`. */
  readonly parameters?: string
  /** The schema in which names are looked for; `parameters` lead there. None: what the server has set. */
  readonly schema?: string
}

export interface RedisAddress {
  readonly host: string
  readonly port: number
  /** The logical database; none: the first one of the server. */
  readonly database?: number
  readonly user?: string
  readonly password?: string
  readonly tls?: true
}

/** A `postgres://` URL in which every part is percent-encoded. */
export function postgresUrl({ host, port, user, password, database, parameters }: PostgresAddress): string {
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  const query = parameters === undefined ? '' : `?${parameters}`
  return `postgres://${credentials}@${urlHost(host)}:${port}/${encodePath(database)}${query}`
}

/** A search path, where a URL says one in `options`, as the server reads them. */
const SEARCH_PATH = /(?:^|\s)-c\s*search_path=(\S+)/

/** The same database with a schema first in its search path; the search path of its URL follows. */
export function inSchema(
  place: PostgresAddress,
  schema: string,
): PostgresAddress & Required<Pick<PostgresAddress, 'schema' | 'parameters'>> {
  const parameters = new URLSearchParams(place.parameters)
  const options = parameters.get('options') ?? ''
  const path = [schema, SEARCH_PATH.exec(options)?.[1]].filter(Boolean).join()
  // What comes last counts.
  parameters.set('options', `${options} -c search_path=${path}`.trim())
  // Only forms have a plus for a space.
  return { ...place, schema, parameters: parameters.toString().replaceAll('+', '%20') }
}

/** A `redis://` URL, with a logical database as its path. */
export function redisUrl({ host, port, database, user = '', password, tls }: RedisAddress): string {
  const credentials = password === undefined ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`
  const path = database === undefined ? '' : `/${database}`
  return `${tls ? 'rediss' : 'redis'}://${credentials}${urlHost(host)}:${port}${path}`
}

/** The variables that lead to a PostgreSQL database. */
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
    // For code that reads no URL: pg and libpq add it to their other settings.
    ...(schema !== undefined && { PGOPTIONS: new URLSearchParams(parameters).get('options') ?? '' }),
  }
}

/** Defaults for what a client is not given: `psql`, all that is built on libpq, and most drivers read them. */
export function libpqVariables({ host, port, user, password, database }: PostgresAddress): Record<string, string> {
  return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database }
}

/** The variables with the address of a Redis; for code that reads no URL, each part has a variable of its own. */
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

/** pg reads a path with `decodeURI`, which leaves alone what `encodeURIComponent` escapes beyond `encodeURI`. */
function encodePath(text: string): string {
  return encodeURI(text).replaceAll(/[/?#]/g, encodeURIComponent)
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

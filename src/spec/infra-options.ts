import type { StackFacts } from '../environment/infra-facts.ts'
import type { BuiltInServiceName, Healthcheck } from './infra-service.ts'

/** Options that every service has. */
export interface ServiceOptions {
  /** The image to run. */
  readonly image?: string
  /**
   * The port on this machine: a free one that the engine picks (`'random'`), the value of the service's variable
   * (`'env'`: `POSTGRES_PORT`, `REDIS_PORT`), or a number.
   *
   * @default 'random'
   */
  readonly port?: number | 'random' | 'env'
  /** Parts of the healthcheck to replace. `interval` × `retries` may not be less than `startupTimeoutMs`. */
  readonly healthcheck?: Partial<Healthcheck>
  /** Labels for this service's container, beside the common ones. */
  readonly labels?: Readonly<Record<string, string>>
}

export interface PostgresOptions extends ServiceOptions {
  /**
   * The role that tests connect as; a superuser.
   *
   * @default `POSTGRES_USER`, else `'postgres'`
   */
  readonly user?: string
  /** @default `POSTGRES_PASSWORD`, else `'postgres'` */
  readonly password?: string
  /** @default `POSTGRES_DB`, else `'app'` */
  readonly database?: string
  /** Server settings such as `{ wal_level: 'logical', timezone: 'Europe/Berlin' }`; they win over our own. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Further arguments for `initdb`. */
  readonly initdbArgs?: string
  /**
   * `.sql` files and folders of them, run first, in natural order of their names.
   *
   * @default 'fixtures/postgres/migrations', if it exists
   */
  readonly migrations?: string | readonly string[]
  /**
   * `.sql` files and folders of them, run after the migrations.
   *
   * @default 'fixtures/postgres/seeds', if it exists
   */
  readonly seeds?: string | readonly string[]
}

export interface RedisOptions extends ServiceOptions {
  /** Further arguments for `redis-server`, such as `['--maxmemory', '64mb']`. */
  readonly args?: readonly string[]
  /**
   * `.redis` files and folders of them: one command a line, quoted as in `redis-cli`.
   *
   * @default 'fixtures/redis', if it exists
   */
  readonly seeds?: string | readonly string[]
}

/** What can be said in `infra({ … })`, in `infra.config.ts`, and to `createGlobalSetup({ … })`. */
export interface InfraOptions {
  /**
   * How services are obtained. `'auto'` takes Docker.
   *
   * @default `VITEST_INFRA_PROVIDER`, else `'auto'`
   */
  readonly provider?: 'auto' | 'docker'
  /**
   * The services to start.
   *
   * @default ['postgres', 'redis']
   */
  readonly services?: readonly BuiltInServiceName[]
  readonly postgres?: PostgresOptions
  readonly redis?: RedisOptions
  /** Labels for every container. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Time within which a service must become usable once its image is there, in milliseconds.
   *
   * @default `VITEST_INFRA_STARTUP_TIMEOUT_MS`, else 60000
   */
  readonly startupTimeoutMs?: number
  /**
   * Sets libpq's `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` too.
   *
   * @default false
   */
  readonly libpqEnv?: boolean
  /** Names of your own: what it returns is added to the variables, and wins over them. */
  readonly env?: (facts: StackFacts) => Readonly<Record<string, string>>
}

/**
 * Types an `infra.config.ts`; returns its argument.
 *
 * @example
 * export default defineInfra({ postgres: { image: 'pgvector/pgvector:pg18' } })
 */
export function defineInfra(options: InfraOptions): InfraOptions {
  return options
}

/** Two sets of options as one; the second wins, service by service and key by key. */
export function mergeOptions(base: InfraOptions, override: InfraOptions): InfraOptions {
  return {
    ...base,
    ...override,
    ...mergeKey('postgres', base, override),
    ...mergeKey('redis', base, override),
    ...mergeKey('labels', base, override),
  }
}

function mergeKey(key: 'postgres' | 'redis' | 'labels', base: InfraOptions, override: InfraOptions): InfraOptions {
  return base[key] && override[key] ? { [key]: { ...base[key], ...override[key] } } : {}
}

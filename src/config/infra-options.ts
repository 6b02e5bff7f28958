import type { Pool } from 'pg'
import type { ProviderName, StackFacts } from '../environment/infra-facts.ts'
import type { BuiltInServiceName } from '../register.ts'
import type { Healthcheck } from './infra-service.ts'

/** Options that every service has. */
export interface ServiceOptions {
  /** The image to run. */
  readonly image?: string
  /**
   * The port on this machine: a free one that the engine picks (`'random'`), the value of the service's variable
   * `POSTGRES_PORT` or `REDIS_PORT` (`'env'`), or a number.
   *
   * @default 'random'
   */
  readonly port?: number | 'random' | 'env'
  /** Fields of the healthcheck to override. `interval` × `retries` must not be less than `startupTimeoutMs`. */
  readonly healthcheck?: Partial<Healthcheck>
  /** Labels for this service's container, in addition to the top-level `labels`. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Whether to restart the server if it exits during tests, up to three times in a run. The running test file fails
   * with the reason. Later files use rebuilt templates, at another address unless the port is pinned.
   *
   * @default false
   */
  readonly restart?: boolean
}

/** A service of your own: any server that listens on a port in a container. All test files share it. */
export interface CustomServiceOptions {
  /** The image to run. It must contain a shell, `sh`. */
  readonly image: string
  /** The port that the server listens on inside its container. */
  readonly port: number
  /** The healthcheck. Omitted fields have the same defaults as for built-in services. */
  readonly healthcheck: Pick<Healthcheck, 'cmd'> & Partial<Healthcheck>
  /**
   * Returns additional variables for the service's address, besides `<NAME>_HOST` and `<NAME>_PORT`. Only the top-level
   * option `env` overrides them.
   *
   * @example
   * env: ({ host, port }) => ({ SMTP_URL: `smtp://${host}:${port}` })
   */
  readonly env?: (address: { readonly host: string; readonly port: number }) => Readonly<Record<string, string>>
  /** Environment variables of the server process. */
  readonly environment?: Readonly<Record<string, string>>
  /** The command to run instead of the image's default command; the image's entrypoint is kept. */
  readonly command?: readonly string[]
  /**
   * The port on this machine: a free one (`'random'`), the value of `<NAME>_PORT` (`'env'`), or a number.
   *
   * @default 'random'
   */
  readonly hostPort?: number | 'random' | 'env'
  /** Labels for this service's container, in addition to the top-level `labels`. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Whether to restart the server if it exits during tests, as for built-in services.
   *
   * @default false
   */
  readonly restart?: boolean
}

/** The database that a seed function fills. */
export interface SeedContext {
  /** `postgres://…` URL of the database. */
  readonly url: string
  /** A connection pool, opened for this function and closed after it. */
  readonly pool: Pool
  /** Variables that point to the database, for child processes. */
  readonly env: Readonly<Record<string, string>>
  /** The folder from which relative paths start. */
  readonly root: string
}

/**
 * Fills a database. Its dependencies are unknown, so it runs once in each run. A {@link SeedStep} with a `key` runs
 * once for all runs.
 */
export type SeedFunction = (context: SeedContext) => unknown

/** A function or a tool that fills a database. */
export interface SeedStep {
  /** The step's name in messages. */
  readonly name: string
  /**
   * Identifies everything that the step depends on besides its source text and its files. For a function that uses
   * `count` from its closure, this can be `` `users ${count}` ``. Steps with the same name, key, text and files make
   * equal databases, so later runs reuse what an earlier run built.
   *
   * @default undefined: the step runs once in each run
   */
  readonly key?: string
  /**
   * Files and folders that the step reads. If one changes, the template is rebuilt. Paths in `node_modules` are
   * searched as in Node, including in the parent folders.
   */
  readonly files: readonly string[]
  readonly run: SeedFunction
}

/** The path of a `.sql` file or of a folder of such files, or a function or step to run. */
export type Seed = string | SeedFunction | SeedStep

export interface TemplateOptions {
  /**
   * The template that this one extends.
   *
   * @default 'default', the template of `postgres.extensions`, `postgres.migrations` and `postgres.seeds`
   */
  readonly from?: string
  readonly extensions?: readonly string[]
  readonly migrations?: Seed | readonly Seed[]
  readonly seeds?: Seed | readonly Seed[]
}

export interface PostgresOptions extends ServiceOptions {
  /**
   * The role with which tests connect. It is a superuser.
   *
   * @default `POSTGRES_USER`, else `'postgres'`
   */
  readonly user?: string
  /**
   * The password of the role `user`.
   *
   * @default `POSTGRES_PASSWORD`, else a random one that only your account on this machine can read, the same in each
   * run
   */
  readonly password?: string
  /**
   * The name of the main database.
   *
   * @default `POSTGRES_DB`, else `'app'`
   */
  readonly database?: string
  /**
   * Server settings such as `{ wal_level: 'logical', timezone: 'Europe/Berlin' }`. They override those of vitest-infra.
   */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Additional arguments for `initdb`. */
  readonly initdbArgs?: string
  /**
   * What each lease gets:
   *
   * - `'database'`: a clone of the template on the common server.
   * - `'server'`: a separate PostgreSQL server with that clone, for tests that change roles, replication slots or
   *   `ALTER SYSTEM` settings, or restart the server.
   * - `'schema'`: only with the provider `'external'`, a schema in the database that the URL names, for a role that may
   *   not create databases. A schema cannot be cloned, so migrations and seeds run again for each one.
   *
   * @default 'database'
   */
  readonly isolation?: 'database' | 'server' | 'schema'
  /** Extensions to create in every database, such as `['vector']`. */
  readonly extensions?: readonly string[]
  /**
   * The sources of the schema: `.sql` files, folders of such files, functions and tools. The files of a folder run in
   * natural order of their names.
   *
   * @default 'fixtures/postgres/migrations', if it exists
   */
  readonly migrations?: Seed | readonly Seed[]
  /**
   * The sources of the data, of the same kinds. They run after the migrations.
   *
   * @default 'fixtures/postgres/seeds', if it exists
   */
  readonly seeds?: Seed | readonly Seed[]
}

export interface RedisOptions extends ServiceOptions {
  /**
   * What each lease gets: `'server'`, a separate Redis process, or `'database'`, a logical database of the common
   * server. A logical database does not isolate `FLUSHALL`, `CONFIG`, channels or scripts, nor an application that
   * selects a database number itself.
   *
   * @default 'server', but 'database' with the provider `'external'`
   */
  readonly isolation?: 'server' | 'database'
  /** Additional arguments for `redis-server`, such as `['--maxmemory', '64mb']`. */
  readonly args?: readonly string[]
  /**
   * The Redis program for the provider `'embedded'`, relative to the project's folder.
   *
   * @default `VITEST_INFRA_REDIS_BINARY`, else `redis-server` or `valkey-server` on the `PATH`, else that of
   * `redis-memory-server`
   */
  readonly binary?: string
  /**
   * `.redis` files and folders of such files, with one command per line, quoted as in `redis-cli`.
   *
   * @default 'fixtures/redis', if it exists
   */
  readonly seeds?: string | readonly string[]
}

/** Existing servers, for the provider `'external'`. */
export interface ExternalOptions {
  /**
   * The URL of PostgreSQL, `postgres://user:password@host:port`. The role needs `CREATEDB`, and a database in the URL
   * is not changed. With `postgres.isolation: 'schema'`, schemas are created in that database, on which the role needs
   * `CREATE`.
   *
   * @default `DATABASE_URL`, else `DB_HOST`, `DB_PORT`, `DB_USER` and `DB_PASSWORD`, and for schemas `DB_NAME`
   */
  readonly postgres?: string
  /**
   * The URL of Redis, `redis://user:password@host:port` or `rediss://…`.
   *
   * @default `REDIS_URL`, else `REDIS_HOST`, `REDIS_PORT`, `REDIS_USER` and `REDIS_PASSWORD`
   */
  readonly redis?: string
  /**
   * The addresses of your own services by name, each as `host:port`.
   *
   * @default `<NAME>_HOST` and `<NAME>_PORT`
   */
  readonly services?: Readonly<Record<string, string>>
  /**
   * Hosts besides this machine on which tests may create and drop databases, spelled as in the addresses.
   *
   * @default `VITEST_INFRA_ALLOWED_HOSTS`, a comma-separated list, else none
   */
  readonly allowedHosts?: readonly string[]
}

/** The options of `infra({ … })`, `infra.config.ts` and `createGlobalSetup({ … })`. */
export interface InfraOptions {
  /**
   * Where the services run: in containers (`'docker'`), as local processes (`'embedded'`), or on existing servers
   * (`'external'`). `'auto'` uses Docker if an engine answers, else local processes if they can run, and never existing
   * servers. Any other value never falls back to another provider.
   *
   * @default `VITEST_INFRA_PROVIDER`, else `'auto'`
   */
  readonly provider?: 'auto' | ProviderName
  /**
   * The services to start: a list of built-in services, or an object that adds services of your own. In an object,
   * `false` disables a service: `{ redis: false, mailpit: { image, port, healthcheck } }`.
   *
   * @default ['postgres', 'redis']
   */
  readonly services?: readonly BuiltInServiceName[] | { readonly [name: string]: CustomServiceOptions | false }
  /**
   * The databases to which the variables of a test file point: its own (`'file'`), those of its worker, which the
   * worker's files use in turn (`'worker'`), or the ones that all files share (`'shared'`).
   *
   * @default 'file'
   */
  readonly isolation?: 'file' | 'worker' | 'shared'
  readonly postgres?: PostgresOptions
  readonly redis?: RedisOptions
  readonly external?: ExternalOptions
  /** Additional templates by name. The option `template` selects one for a project. */
  readonly templates?: Readonly<Record<string, TemplateOptions>>
  /**
   * The template from which the databases of this project are cloned.
   *
   * @default 'default'
   */
  readonly template?: string
  /**
   * Whether to store the initialised PostgreSQL with its templates as an image in the engine. The next run with the
   * same inputs starts from this image. Templates with a function that has no `key` are rebuilt in each run.
   *
   * @default `VITEST_INFRA_SNAPSHOT` (`'on'` or `'off'`), else `true`, but `false` if `CI` is set
   */
  readonly snapshot?: boolean
  /**
   * How long the containers stay up after a run, such as `'30m'`. The next run with the same options reuses them. They
   * stop by themselves after that time without a run. If `CI` is set, only the variable has an effect.
   *
   * @default `VITEST_INFRA_KEEP_ALIVE` (a duration or `'off'`), else `false`
   */
  readonly keepAlive?: string | false
  /** Labels for every container. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Timeout for a service to become usable once its image is available, in milliseconds. It also applies to a leased
   * server once that server is started.
   *
   * @default `VITEST_INFRA_STARTUP_TIMEOUT_MS`, else 60000
   */
  readonly startupTimeoutMs?: number
  /**
   * Whether to set libpq's `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` too, and to remove `PGHOSTADDR`
   * and `PGSERVICE`. A client with an incomplete address then still connects to its lease.
   *
   * @default true
   */
  readonly libpqEnv?: boolean
  /** Returns additional variables, which override those of vitest-infra. */
  readonly env?: (facts: StackFacts) => Readonly<Record<string, string>>
}

/**
 * Provides the types for an `infra.config.ts`. Returns its argument.
 *
 * @example
 * export default defineInfra({ postgres: { image: 'pgvector/pgvector:pg18' } })
 */
export function defineInfra<const Options extends InfraOptions>(options: Options): Options {
  return options
}

/** Merges two sets of options. Options in `override` win; nested objects such as `postgres` are merged key by key. */
export function mergeOptions(base: InfraOptions, override: InfraOptions): InfraOptions {
  const given = definedOnly(override)
  const nested = (['postgres', 'redis', 'external', 'labels', 'templates', 'services'] as const).flatMap((key) => {
    const [below, above]: readonly unknown[] = [base[key], given[key]]
    return isObject(below) && isObject(above) ? [[key, { ...below, ...definedOnly(above) }] as const] : []
  })
  return { ...base, ...given, ...Object.fromEntries(nested) }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns the options without those set to `undefined`, which count as omitted. */
function definedOnly<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>
}

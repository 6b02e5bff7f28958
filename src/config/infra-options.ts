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
   * (`'env'`: `POSTGRES_PORT`, `REDIS_PORT`), or a number.
   *
   * @default 'random'
   */
  readonly port?: number | 'random' | 'env'
  /** Parts of the healthcheck to replace. `interval` × `retries` may not be less than `startupTimeoutMs`. */
  readonly healthcheck?: Partial<Healthcheck>
  /** Labels for this service's container, in addition to the common ones. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Whether a server that ends during tests is started anew, up to three times in a run: the file that was under way
   * fails with that cause, the next ones go on with templates that were rebuilt, at another address unless the port is
   * pinned.
   *
   * @default false
   */
  readonly restart?: boolean
}

/** A service of your own: any server that listens on a port in a container. All test files share it. */
export interface CustomServiceOptions {
  /** The image to run; it has to have a shell, `sh`. */
  readonly image: string
  /** The port that the server listens on inside its container. */
  readonly port: number
  /** How to ask it whether it is well; what is not given is as with the services that are built in. */
  readonly healthcheck: Pick<Healthcheck, 'cmd'> & Partial<Healthcheck>
  /**
   * Variables with its address, in addition to `<NAME>_HOST` and `<NAME>_PORT`; only the common `env` overrides them.
   *
   * @example
   * env: ({ host, port }) => ({ SMTP_URL: `smtp://${host}:${port}` })
   */
  readonly env?: (address: { readonly host: string; readonly port: number }) => Readonly<Record<string, string>>
  /** Environment of the server itself. */
  readonly environment?: Readonly<Record<string, string>>
  /** The command to run instead of the image's default command; the image's entrypoint is kept. */
  readonly command?: readonly string[]
  /**
   * The port on this machine: a free one (`'random'`), the value of `<NAME>_PORT` (`'env'`), or a number.
   *
   * @default 'random'
   */
  readonly hostPort?: number | 'random' | 'env'
  /** Labels for this service's container, in addition to the common ones. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Whether a server that ends during tests is started anew, as with the services that are built in.
   *
   * @default false
   */
  readonly restart?: boolean
}

/** Where a function that fills a database finds it. */
export interface SeedContext {
  /** `postgres://…` of the database. */
  readonly url: string
  /** Opened for the function and closed after it. */
  readonly pool: Pool
  /** The variables that lead to the database, for a command that is started. */
  readonly env: Readonly<Record<string, string>>
  /** The folder that relative paths start from. */
  readonly root: string
}

/**
 * Fills a database. Nobody else can see what it depends on, so it runs once in each run; a {@link SeedStep} with a `key`
 * runs once for all of them.
 */
export type SeedFunction = (context: SeedContext) => unknown

/** A function or a tool that fills a database. */
export interface SeedStep {
  /** What to call it in a message. */
  readonly name: string
  /**
   * Names all that it depends on, apart from its own text and its files, such as `` `users ${count}` `` for a function that
   * closes over `count`. Steps that agree in name, key, text and files make equal databases: later runs use what an
   * earlier one has built.
   *
   * @default none: it runs once in each run
   */
  readonly key?: string
  /**
   * Files and folders that it reads: when one changes, the template is built anew. What is in `node_modules` is looked for
   * as Node does, in the folders above, too.
   */
  readonly files: readonly string[]
  readonly run: SeedFunction
}

/** A `.sql` file or a folder of them, or something that runs. */
export type Seed = string | SeedFunction | SeedStep

export interface TemplateOptions {
  /**
   * The template that this one adds to.
   *
   * @default 'default', which `postgres.extensions`, `postgres.migrations` and `postgres.seeds` make
   */
  readonly from?: string
  readonly extensions?: readonly string[]
  readonly migrations?: Seed | readonly Seed[]
  readonly seeds?: Seed | readonly Seed[]
}

export interface PostgresOptions extends ServiceOptions {
  /**
   * The role that tests connect as; a superuser.
   *
   * @default `POSTGRES_USER`, else `'postgres'`
   */
  readonly user?: string
  /**
   * The password of that role.
   *
   * @default `POSTGRES_PASSWORD`, else a random one that only this user of this machine knows, the same in each run
   */
  readonly password?: string
  /** @default `POSTGRES_DB`, else `'app'` */
  readonly database?: string
  /** Server settings such as `{ wal_level: 'logical', timezone: 'Europe/Berlin' }`; they win over our own. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Further arguments for `initdb`. */
  readonly initdbArgs?: string
  /**
   * What a lease gets: `'database'`, a clone of the template on the common server, or `'server'`, a PostgreSQL server of
   * its own with the clone on it, for tests of what belongs to the server: roles, replication slots, `ALTER SYSTEM`, and
   * of how the application copes with a restart; or, with the provider `'external'` alone, `'schema'`: a schema of the
   * database that the URL names, for a role that may not create databases. A schema cannot be cloned: migrations and
   * seeds run again for each.
   *
   * @default 'database'
   */
  readonly isolation?: 'database' | 'server' | 'schema'
  /** Extensions to create in every database, such as `['vector']`. */
  readonly extensions?: readonly string[]
  /**
   * What makes the schema: `.sql` files and folders of them in natural order of their names, functions, tools.
   *
   * @default 'fixtures/postgres/migrations', if it exists
   */
  readonly migrations?: Seed | readonly Seed[]
  /**
   * What fills it, after the migrations.
   *
   * @default 'fixtures/postgres/seeds', if it exists
   */
  readonly seeds?: Seed | readonly Seed[]
}

export interface RedisOptions extends ServiceOptions {
  /**
   * What a lease gets: `'server'`, a Redis process of its own, or `'database'`, a logical database of the common one,
   * which does not separate `FLUSHALL`, `CONFIG`, channels, scripts or a database number in the application.
   *
   * @default 'server', but 'database' with the provider `'external'`
   */
  readonly isolation?: 'server' | 'database'
  /** Further arguments for `redis-server`, such as `['--maxmemory', '64mb']`. */
  readonly args?: readonly string[]
  /**
   * The program that the provider `'embedded'` runs, relative to the project's folder.
   *
   * @default `VITEST_INFRA_REDIS_BINARY`, else `redis-server` or `valkey-server` on the `PATH`, else that of `redis-memory-server`
   */
  readonly binary?: string
  /**
   * `.redis` files and folders of them: one command a line, quoted as in `redis-cli`.
   *
   * @default 'fixtures/redis', if it exists
   */
  readonly seeds?: string | readonly string[]
}

/** Servers that are there already, for the provider `'external'`. */
export interface ExternalOptions {
  /**
   * `postgres://user:password@host:port`. The database that it may name is left alone, and the role needs `CREATEDB`;
   * with `postgres.isolation: 'schema'`, the role makes schemas in that database, for which it needs `CREATE` there.
   *
   * @default `DATABASE_URL`, else `DB_HOST`, `DB_PORT`, `DB_USER` and `DB_PASSWORD`, and for schemas `DB_NAME`
   */
  readonly postgres?: string
  /**
   * `redis://user:password@host:port`, or `rediss://…`.
   *
   * @default `REDIS_URL`, else `REDIS_HOST`, `REDIS_PORT`, `REDIS_USER` and `REDIS_PASSWORD`
   */
  readonly redis?: string
  /**
   * Services of your own by name, each as `host:port`.
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

/** What can be said in `infra({ … })`, in `infra.config.ts`, and to `createGlobalSetup({ … })`. */
export interface InfraOptions {
  /**
   * How services are obtained: as containers (`'docker'`), as local processes (`'embedded'`), or on servers that are
   * there already (`'external'`). `'auto'` takes Docker where an engine answers, else local processes where they can run,
   * and never somebody's servers; what is named here is never replaced by another.
   *
   * @default `VITEST_INFRA_PROVIDER`, else `'auto'`
   */
  readonly provider?: 'auto' | ProviderName
  /**
   * The services to start: a list of those that are built in; or an object that adds services of your own,
   * and in which `false` leaves one out: `{ redis: false, mailpit: { image, port, healthcheck } }`.
   *
   * @default ['postgres', 'redis']
   */
  readonly services?: readonly BuiltInServiceName[] | { readonly [name: string]: CustomServiceOptions | false }
  /**
   * What the variables of a test file point to: databases of its own (`'file'`), those of its worker, which the
   * worker's files share one after the other (`'worker'`), or the ones that all share (`'shared'`).
   *
   * @default 'file'
   */
  readonly isolation?: 'file' | 'worker' | 'shared'
  readonly postgres?: PostgresOptions
  readonly redis?: RedisOptions
  readonly external?: ExternalOptions
  /** Further templates by name, which suites choose with `template`. */
  readonly templates?: Readonly<Record<string, TemplateOptions>>
  /**
   * The template that the databases of this project are clones of.
   *
   * @default 'default'
   */
  readonly template?: string
  /**
   * Whether PostgreSQL, initialised and with its templates, is kept as an image of the engine, from which the next run
   * with the same inputs starts. What a function fills that has no `key` is made anew each time.
   *
   * @default `VITEST_INFRA_SNAPSHOT` (`'on'` or `'off'`), else `true`, but `false` where `CI` is set
   */
  readonly snapshot?: boolean
  /**
   * How long the containers stay up when a run is over, such as `'30m'`: the next run with the same options uses them, and
   * they end by themselves when none has for that long. Where `CI` is set, only the variable turns it on.
   *
   * @default `VITEST_INFRA_KEEP_ALIVE` (a duration or `'off'`), else `false`
   */
  readonly keepAlive?: string | false
  /** Labels for every container. */
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Time within which a service must become usable once its image is there, and a server of a lease once it is started,
   * in milliseconds.
   *
   * @default `VITEST_INFRA_STARTUP_TIMEOUT_MS`, else 60000
   */
  readonly startupTimeoutMs?: number
  /**
   * Whether to set libpq's `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE` too, and to remove `PGHOSTADDR`
   * and `PGSERVICE`. A client that is given only a part of an address then still connects to its lease.
   *
   * @default true
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
export function defineInfra<const Options extends InfraOptions>(options: Options): Options {
  return options
}

/** Two sets of options as one; the second wins, service by service and key by key. */
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

/** An option that is set to `undefined` is one that was not given. */
function definedOnly<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>
}

import { BASE_VARIABLES } from '../environment/variable-set.ts'
import { createVariableLookup, type EnvironmentLayers, type VariableLookup } from '../environment/environment-layers.ts'
import type { ProviderName, StackFacts } from '../environment/infra-facts.ts'
import { InfraError } from '../errors.ts'
import { LONGEST_MS, parseDurationMs } from '../internal/duration.ts'
import {
  type ExternalPostgres,
  type ExternalRedis,
  resolveExternalPostgres,
  resolveExternalRedis,
} from './external-servers.ts'
import { customServicesIn, type ResolvedCustom, resolveCustom } from './custom-services.ts'
import {
  type InfraOptions,
  mergeOptions,
  type Seed,
  type ServiceOptions,
  type TemplateOptions,
} from './infra-options.ts'
import { DEFAULT_SERVICES, DEFAULT_STARTUP_TIMEOUT_MS } from './infra-service.ts'
import { assertOptions, assertVariable } from './options-schema.ts'
import {
  type GivenService,
  imageVariable,
  type ResolvedService,
  resolveService,
  type Settle,
} from './resolve-service.ts'
import {
  assertDistinctPorts,
  assertHealthcheckWindow,
  assertNoneRestarted,
  assertNotBuiltIn,
  assertOwnServers,
  assertPortVariables,
  assertSchemasPossible,
  assertTemplate,
  assertUniqueNames,
  databaseNotSaid,
  inOrderOfLayers,
} from './rules.ts'

/** The name of the template that `postgres.extensions`, `postgres.migrations` and `postgres.seeds` define. */
export const DEFAULT_TEMPLATE = 'default'

/** The maintenance database, which every server has. */
const MAINTENANCE_DATABASE = 'postgres'

const SNAPSHOT_VARIABLE = 'VITEST_INFRA_SNAPSHOT'
const KEEP_ALIVE_VARIABLE = 'VITEST_INFRA_KEEP_ALIVE'
const STARTUP_TIMEOUT_VARIABLE = 'VITEST_INFRA_STARTUP_TIMEOUT_MS'

export interface ResolvedPostgres extends ResolvedService {
  /** The external server; undefined unless the provider is `'external'`. */
  readonly server: Pick<ExternalPostgres, 'host' | 'port' | 'parameters'> | undefined
  readonly user: string
  readonly password: string
  readonly database: string
  readonly settings: Readonly<Record<string, string>>
  readonly initdbArgs: string
  readonly isolation: 'server' | 'database' | 'schema'
  /** The template named `default` and the user's, each after the one that it extends. */
  readonly templates: readonly ResolvedTemplate[]
}

/** The contents of a template. */
export interface ResolvedTemplate {
  readonly name: string
  /** The template that it extends; undefined for an empty database. */
  readonly from: string | undefined
  readonly extensions: readonly string[]
  /** Configured sources; undefined for the default folder, if it exists. */
  readonly migrations: readonly Seed[] | undefined
  readonly seeds: readonly Seed[] | undefined
}

export interface ResolvedRedis extends ResolvedService {
  /** The external server; undefined unless the provider is `'external'`. */
  readonly server: ExternalRedis | undefined
  readonly args: readonly string[]
  /** The program to run with the provider `'embedded'`; undefined to search for one. */
  readonly binary: string | undefined
  readonly isolation: 'server' | 'database'
  readonly seeds: readonly string[] | undefined
}

/** The resolved options of a project. */
export interface ResolvedSpec {
  /** The folder from which relative paths start. */
  readonly root: string
  readonly provider: 'auto' | ProviderName
  readonly startupTimeoutMs: number
  readonly isolation: 'file' | 'worker' | 'shared'
  /** The template from which this project's databases are cloned. */
  readonly template: string
  /** Whether snapshots are used and taken. */
  readonly snapshot: boolean
  /** How long unused containers stay up, in milliseconds; undefined if they stop with their run. */
  readonly keepAliveMs: number | undefined
  readonly libpqEnv: boolean
  readonly env: ((facts: StackFacts) => Readonly<Record<string, string>>) | undefined
  readonly postgres: ResolvedPostgres | undefined
  readonly redis: ResolvedRedis | undefined
  /** The user-defined services. */
  readonly custom: readonly ResolvedCustom[]
}

export interface SpecContext {
  readonly root: string
  /** The origin of the options, for errors. */
  readonly source: string
  /** Options with lower precedence, and their origin. */
  readonly base?: { readonly options: unknown; readonly source: string } | undefined
  readonly environment: EnvironmentLayers
  /**
   * Returns the password of PostgreSQL if the user has not set one.
   *
   * @default returns the password of the compose file
   */
  readonly ownPassword?: () => string
}

/**
 * Resolves all options of a project: rejects unknown keys, merges, applies defaults, checks rules, and freezes the
 * result. Precedence, highest first: options, environment, `.env`, `.env.example`, defaults.
 */
export function resolveSpec(override: unknown, context: SpecContext): ResolvedSpec {
  const base = context.base ? assertOptions(context.base.options, context.base.source) : {}
  const options = mergeOptions(base, assertOptions(override, context.source))
  const lookup = createVariableLookup(context.environment)
  const names = builtInServices(options)
  assertUniqueNames(names, 'services')
  const custom = customServicesIn(options)
  assertNotBuiltIn(
    custom.map(([name]) => name),
    Object.keys(DEFAULT_SERVICES),
  )
  const startupTimeoutMs = resolveStartupTimeoutMs(options, lookup)
  const provider = resolveProvider(options, lookup)
  const settle: Settle = { options, lookup, provider, startupTimeoutMs }
  const spec: ResolvedSpec = {
    root: context.root,
    provider,
    startupTimeoutMs,
    isolation: options.isolation ?? 'file',
    template: options.template ?? DEFAULT_TEMPLATE,
    snapshot: options.snapshot ?? resolveSnapshot(lookup),
    keepAliveMs: resolveKeepAliveMs(options, lookup),
    libpqEnv: options.libpqEnv ?? true,
    env: options.env,
    postgres: names.includes('postgres') ? resolvePostgres(settle, context.ownPassword) : undefined,
    redis: names.includes('redis') ? resolveRedis(settle) : undefined,
    custom: custom.map(([name, given]) => resolveCustom(name, given, settle)),
  }
  assertVariables(spec, settle)
  assertRules(spec, context)
  return deepFreeze(spec)
}

/** Returns the services of a spec, in the order in which they are reported. */
export function servicesOf(spec: ResolvedSpec): readonly ResolvedService[] {
  return [spec.postgres, spec.redis, ...spec.custom].filter((service) => service !== undefined)
}

/** Returns the external server of a service; undefined unless the provider is `'external'`. */
export function serverOf({ postgres, redis, custom }: ResolvedSpec, name: string) {
  return [postgres, redis, ...custom].find((resolved) => resolved?.service.name === name)?.server
}

function builtInServices({ services = {} }: InfraOptions): readonly string[] {
  // In an object, the only value for a built-in service is `false`, which disables it.
  return Array.isArray(services) ? services : Object.keys(DEFAULT_SERVICES).filter((name) => !(name in services))
}

function givenService(name: string, options: ServiceOptions): GivenService {
  const { port, ...rest } = options
  return { ...rest, port: port === undefined ? undefined : { option: `${name}.port`, value: port } }
}

function resolvePostgres(settle: Settle, ownPassword?: () => string): ResolvedPostgres {
  const given = settle.options.postgres ?? {}
  const settings = Object.entries(given.settings ?? {}).map(([name, value]) => [name, settingText(value)])
  return {
    ...resolveService(DEFAULT_SERVICES.postgres, givenService('postgres', given), settle),
    ...(settle.provider === 'external' ? resolveExternalServer(settle) : resolveManagedServer(settle, ownPassword)),
    settings: Object.fromEntries(settings),
    initdbArgs: given.initdbArgs ?? '',
    isolation: given.isolation ?? 'database',
    templates: resolveTemplates(settle.options),
  }
}

function resolveManagedServer(
  { options: { postgres: given = {} }, lookup }: Settle,
  ownPassword = (): string => BASE_VARIABLES.POSTGRES_PASSWORD,
) {
  return {
    user: given.user ?? lookup('POSTGRES_USER') ?? BASE_VARIABLES.POSTGRES_USER,
    password: given.password ?? lookup('POSTGRES_PASSWORD') ?? ownPassword(),
    database: given.database ?? lookup('POSTGRES_DB') ?? BASE_VARIABLES.POSTGRES_DB,
    server: undefined,
  }
}

/**
 * Resolves the external server. Only the isolation `'schema'` uses the database in the URL; otherwise we connect to the
 * maintenance database.
 */
function resolveExternalServer({ options, lookup }: Settle) {
  const given = resolveExternalPostgres({ options: options.external ?? {}, lookup })
  const { user, password, database, ...server } = given
  if (options.postgres?.isolation !== 'schema') {
    return { user, password, database: MAINTENANCE_DATABASE, server }
  }
  if (database === undefined) {
    throw databaseNotSaid()
  }
  return { user, password, database, server }
}

function resolveTemplates({ postgres = {}, templates = {} }: InfraOptions): readonly ResolvedTemplate[] {
  assertUniqueNames([DEFAULT_TEMPLATE, ...Object.keys(templates)], 'templates')
  const named = Object.entries(templates).map(([name, given]) =>
    resolveTemplate(name, given.from ?? DEFAULT_TEMPLATE, {
      ...given,
      migrations: given.migrations ?? [],
      seeds: given.seeds ?? [],
    }),
  )
  return inOrderOfLayers([resolveTemplate(DEFAULT_TEMPLATE, undefined, postgres), ...named])
}

function resolveTemplate(name: string, from: string | undefined, given: TemplateOptions): ResolvedTemplate {
  const { extensions = [], migrations, seeds } = given
  return { name, from, extensions: [...extensions], migrations: toSeeds(migrations), seeds: toSeeds(seeds) }
}

/** Returns a copy, so that freezing the spec does not freeze the user's own objects. */
function toSeeds(given: Seed | readonly Seed[] | undefined): readonly Seed[] | undefined {
  return toList(given)?.map((seed) => (typeof seed === 'object' ? { ...seed, files: [...seed.files] } : seed))
}

function resolveRedis(settle: Settle): ResolvedRedis {
  const given = settle.options.redis ?? {}
  return {
    ...resolveService(DEFAULT_SERVICES.redis, givenService('redis', given), settle),
    args: [...(given.args ?? [])],
    binary: given.binary ?? settle.lookup('VITEST_INFRA_REDIS_BINARY'),
    ...(settle.provider === 'external'
      ? { server: resolveExternalRedis({ options: settle.options.external ?? {}, lookup: settle.lookup }) }
      : { server: undefined }),
    isolation: given.isolation ?? (settle.provider === 'external' ? 'database' : 'server'),
    seeds: toList(given.seeds),
  }
}

function resolveProvider(options: InfraOptions, lookup: VariableLookup): 'auto' | ProviderName {
  const provider = options.provider ?? (lookup('VITEST_INFRA_PROVIDER') as 'auto' | ProviderName | undefined) ?? 'auto'
  assertVariable({ provider }, lookup.placeOf('VITEST_INFRA_PROVIDER'))
  return provider
}

/** In CI each run has a new machine, where a snapshot would be taken and never used. */
function resolveSnapshot(lookup: VariableLookup): boolean {
  const text = lookup(SNAPSHOT_VARIABLE)
  if (text === undefined || text === '') {
    return !isContinuousIntegration(lookup)
  }
  if (text !== 'on' && text !== 'off') {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${lookup.placeOf(SNAPSHOT_VARIABLE)}: "${text}" is neither "on" nor "off"`,
      remedy: `Set ${SNAPSHOT_VARIABLE} to on or off, or leave it out`,
    })
  }
  return text === 'on'
}

/** In CI the next run finds another machine, so the option `keepAlive` is ignored there. */
function resolveKeepAliveMs({ keepAlive }: InfraOptions, lookup: VariableLookup): number | undefined {
  const givenMs = keepAlive === undefined || keepAlive === false ? undefined : parseDurationMs(keepAlive, 'keepAlive')
  if (keepAlive !== undefined && !isContinuousIntegration(lookup)) {
    return givenMs
  }
  const text = lookup(KEEP_ALIVE_VARIABLE) ?? 'off'
  return text === 'off' ? undefined : parseDurationMs(text, lookup.placeOf(KEEP_ALIVE_VARIABLE))
}

function isContinuousIntegration(lookup: VariableLookup): boolean {
  return !['', 'false', '0'].includes(lookup('CI') ?? '')
}

function resolveStartupTimeoutMs(options: InfraOptions, lookup: VariableLookup): number {
  const text = lookup(STARTUP_TIMEOUT_VARIABLE)
  if (options.startupTimeoutMs !== undefined || text === undefined) {
    return options.startupTimeoutMs ?? DEFAULT_STARTUP_TIMEOUT_MS
  }
  if (!/^[1-9]\d*$/.test(text) || Number(text) > LONGEST_MS) {
    throw new InfraError('INFRA_CONFIG_INVALID', {
      problem: `Cannot use ${lookup.placeOf(STARTUP_TIMEOUT_VARIABLE)}: "${text}" is not a number of milliseconds`,
      remedy: `Set ${STARTUP_TIMEOUT_VARIABLE} to a whole number from 1 to ${LONGEST_MS}, such as 120000`,
    })
  }
  return Number(text)
}

function assertRules(spec: ResolvedSpec, { environment }: SpecContext): void {
  const services = servicesOf(spec)
  if (spec.postgres) {
    assertTemplate(spec.template, spec.postgres.templates)
    assertSchemasPossible(spec.provider, spec.postgres)
  }
  for (const { service } of services) {
    assertHealthcheckWindow(service, spec.startupTimeoutMs)
  }
  assertDistinctPorts(services)
  if (spec.provider === 'external') {
    assertOwnServers(spec)
    assertNoneRestarted(services)
  }
  const pinned = services.filter(({ hostPort }) => hostPort !== undefined)
  if (environment.envExample !== undefined) {
    assertPortVariables(
      pinned.map(({ service }) => service),
      environment.envExample,
    )
  }
}

/** Values from the environment follow the same rules as options. */
function assertVariables({ postgres, redis }: ResolvedSpec, { options, lookup }: Settle): void {
  // The rules for accounts apply only to servers that we start.
  const { user, password, database } = postgres?.server ? {} : (postgres ?? {})
  const given: readonly (readonly [string, unknown, InfraOptions])[] = [
    ['POSTGRES_USER', options.postgres?.user, { postgres: { user } }],
    ['POSTGRES_PASSWORD', options.postgres?.password, { postgres: { password } }],
    ['POSTGRES_DB', options.postgres?.database, { postgres: { database } }],
    [imageVariable('postgres'), options.postgres?.image, { postgres: { image: postgres?.service.image } }],
    [imageVariable('redis'), options.redis?.image, { redis: { image: redis?.service.image } }],
    ['VITEST_INFRA_REDIS_BINARY', options.redis?.binary, { redis: { binary: redis?.binary } }],
  ]
  for (const [variable, option, settled] of given) {
    if (option === undefined) {
      assertVariable(settled, lookup.placeOf(variable))
    }
  }
}

function settingText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
}

function toList<T>(given: T | readonly T[] | undefined): readonly T[] | undefined {
  return given === undefined ? undefined : Array.isArray(given) ? [...(given as readonly T[])] : [given as T]
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null) {
      deepFreeze(part)
    }
  }
  return Object.freeze(value)
}

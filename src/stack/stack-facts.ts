import type { InfraFacts, PostgresFacts, ProviderName, RedisFacts, StackFacts } from '../environment/infra-facts.ts'
import {
  libpqVariables,
  type PostgresAddress,
  postgresUrl,
  postgresVariables,
  redisUrl,
  redisVariables,
} from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import type { ResolvedCustom } from '../config/custom-services.ts'
import { variablePrefix } from '../config/infra-service.ts'
import type { ResolvedPostgres, ResolvedRedis, ResolvedSpec } from '../config/resolve-spec.ts'
import type { HealthyService } from '../services/service.ts'

/** The properties of a service that {@link describeStack} reads. */
export type DescribedService = Pick<HealthyService, 'name' | 'address' | 'version' | 'state'>

/** The main databases, if they differ from those that the spec names. */
export interface MainDatabases {
  readonly postgres?: Partial<PostgresAddress> | undefined
  readonly redis?: number | undefined
}

/** Returns the facts of a stack that is up, as plain data for workers. */
export function describeStack(
  spec: ResolvedSpec,
  provider: ProviderName,
  services: readonly DescribedService[],
  main: MainDatabases = {},
): StackFacts {
  const find = (name: string) => services.find((service) => service.name === name)
  const postgres = find('postgres')
  const redis = find('redis')
  return {
    provider,
    ...(spec.postgres && postgres && { postgres: postgresFacts(spec.postgres, postgres, main.postgres) }),
    ...(redis && { redis: redisFacts(spec.redis, redis, main.redis) }),
    services: Object.fromEntries(services.map(({ name, address, state }) => [name, { ...address, state }])),
  } as StackFacts
}

/**
 * Returns the variables that point to the stack: the variable set, libpq's variables unless disabled, then the user's
 * own.
 *
 * @throws InfraError `INFRA_ENV_FUNCTION` if the `env` option throws or returns anything but text
 */
export function describeEnvironment(spec: ResolvedSpec, facts: StackFacts): Record<string, string> {
  const { postgres, redis } = facts as Partial<InfraFacts>
  return {
    ...(postgres && postgresVariables(postgres)),
    ...(postgres && spec.libpqEnv && libpqVariables(postgres)),
    ...(redis && redisVariables(redis)),
    ...Object.assign({}, ...spec.custom.map((service) => customVariables(service, facts))),
    ...callEnv(spec.env && (() => spec.env?.(facts)), 'env'),
  }
}

function customVariables({ service, env }: ResolvedCustom, { services }: StackFacts): Readonly<Record<string, string>> {
  const { host = '', port = 0 } = services[service.name] ?? {}
  const prefix = variablePrefix(service.name)
  return {
    [`${prefix}_HOST`]: host,
    [`${prefix}_PORT`]: String(port),
    ...callEnv(env && (() => env({ host, port })), `services.${service.name}.env`),
  }
}

function postgresFacts(
  spec: ResolvedPostgres,
  { address, version }: DescribedService,
  main?: Partial<PostgresAddress>,
): PostgresFacts {
  const { user, password, database, server } = spec
  const place = { ...server, ...address, user, password, database, ...main }
  return { ...place, url: postgresUrl(place), version }
}

function redisFacts(
  spec: ResolvedRedis | undefined,
  { address, version }: DescribedService,
  database?: number,
): RedisFacts {
  const place = { ...spec?.server, ...address, ...(database !== undefined && { database }) }
  return { ...place, url: redisUrl(place), version }
}

function callEnv(call: (() => unknown) | undefined, option: string): Readonly<Record<string, string>> {
  try {
    const variables: unknown = call?.() ?? {}
    assertTexts(variables)
    return variables
  } catch (error) {
    throw new InfraError('INFRA_ENV_FUNCTION', {
      problem: `Cannot set the variables of the ${option} option: ${messageOf(error)}`,
      remedy: `Let ${option} return an object of names and text, such as { ${option === 'env' ? 'TEST_PG_URL: facts.postgres.url' : 'SMTP_PORT: String(port)'} }`,
      cause: error,
    })
  }
}

function assertTexts(variables: unknown): asserts variables is Record<string, string> {
  if (typeof variables !== 'object' || variables === null || Array.isArray(variables) || 'then' in variables) {
    throw new TypeError('it did not return an object of names and text')
  }
  const wrong = Object.entries(variables).find(([, value]) => typeof value !== 'string')
  if (wrong) {
    throw new TypeError(`${wrong[0]} is not text, but ${typeof wrong[1]}`)
  }
}

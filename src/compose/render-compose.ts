import { stringify } from 'yaml'
import { BASE_VARIABLES } from '../environment/variable-set.ts'
import type { InfraService } from '../config/infra-service.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'

const HEADING = `# The stack for manual use: docker compose up -d --wait. Rendered by: vitest-infra compose --write.
# Separate servers in memory, on their own network: docker compose --profile test up -d --wait.
`

/** Name of the profile and the network of the test services. */
const TEST = 'test'

/** The images' data folders. Since PostgreSQL 18 the volume is the parent of the data directory. */
const DATA_FOLDERS: Readonly<Record<string, string>> = { postgres: '/var/lib/postgresql', redis: '/data' }

/** A service as described in compose.yaml. */
interface ComposedService {
  readonly service: InfraService
  /** Environment of the server, with `$` escaped. */
  readonly environment: Readonly<Record<string, string>>
  /** Replaces the image's command, unless it is empty. */
  readonly command: readonly string[]
}

/** Renders a `compose.yaml` with the services of `spec`, on the ports of `.env`. */
export function renderCompose(spec: ResolvedSpec): string {
  const services = composedServices(spec)
  const volumes = services.flatMap(({ service }) => service.volume ?? [])
  const document = {
    services: Object.fromEntries([
      ...services.map((composed) => [composed.service.name, describeService(composed)] as const),
      ...services.map((composed) => [`${composed.service.name}-${TEST}`, describeTestService(composed)] as const),
    ]),
    ...(services.length > 0 && { networks: { [TEST]: {} } }),
    ...(volumes.length > 0 && { volumes: Object.fromEntries(volumes.map((volume) => [volume, {}])) }),
  }
  return (
    HEADING + stringify(document, { aliasDuplicateObjects: false, lineWidth: 0, singleQuote: true, blockQuote: false })
  )
}

function composedServices({ postgres, redis, custom }: ResolvedSpec): readonly ComposedService[] {
  return [
    ...(postgres ? [{ service: postgres.service, environment: postgresEnvironment(), command: [] }] : []),
    ...(redis ? [{ service: redis.service, environment: {}, command: [] }] : []),
    ...custom.map(({ service, environment, command }) => ({
      service,
      environment: literal(environment),
      command: command.map(escapeDollars),
    })),
  ]
}

function describeService(composed: ComposedService): object {
  const { service } = composed
  return {
    image: service.image,
    restart: 'unless-stopped',
    ...describeProgram(composed),
    ports: [`127.0.0.1:\${${service.envPortVar}:-${service.defaultPort}}:${service.defaultPort}`],
    ...describeData(service),
    ...describeRest(service),
  }
}

/**
 * Describes a service for tests, on a free port. Within the network of the test services, it has the service's normal
 * name.
 */
function describeTestService(composed: ComposedService): object {
  const { service } = composed
  return {
    profiles: [TEST],
    image: service.image,
    ...describeProgram(composed),
    ports: [`127.0.0.1::${service.defaultPort}`],
    networks: { [TEST]: { aliases: [service.name] } },
    ...describeData({ ...service, persistence: false }),
    ...describeRest(service),
  }
}

function describeProgram({ environment, command }: ComposedService): object {
  return {
    ...(command.length > 0 && { command }),
    ...(Object.keys(environment).length > 0 && { environment }),
  }
}

function describeRest({ healthcheck, labels }: InfraService): object {
  return {
    healthcheck: {
      test: ['CMD-SHELL', escapeDollars(healthcheck.cmd)],
      interval: healthcheck.interval,
      timeout: healthcheck.timeout,
      retries: healthcheck.retries,
    },
    ...(labels && Object.keys(labels).length > 0 && { labels: literal(labels) }),
  }
}

/** Always mounts the data folder: otherwise the image's volume becomes an anonymous volume that is never removed. */
function describeData({ name, persistence, volume }: InfraService): object {
  const folder = DATA_FOLDERS[name]
  if (folder === undefined) {
    return {}
  }
  return persistence && volume ? { volumes: [`${volume}:${folder}`] } : { tmpfs: [folder] }
}

function literal(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, escapeDollars(value)]))
}

/** Doubles dollars, because compose would read a single one as the beginning of a variable. */
function escapeDollars(text: string): string {
  return text.replaceAll('$', '$$$$')
}

function postgresEnvironment(): Record<string, string> {
  const names = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB'] as const
  return Object.fromEntries(names.map((name) => [name, `\${${name}:-${BASE_VARIABLES[name]}}`]))
}

import { stringify } from 'yaml'
import { BASE_VARIABLES } from '../environment/variable-set.ts'
import type { InfraService } from '../config/infra-service.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'

const HEADING = `# The stack for manual use: docker compose up -d --wait. Rendered by: vitest-infra compose --write.
# Beside it, in memory and on a network of its own: docker compose --profile test up -d --wait.
`

/** The profile, and the network, of what is there for tests alone. */
const TEST = 'test'

/** Where the images keep their data; since 18 PostgreSQL's volume is the parent of the data directory. */
const DATA_FOLDERS: Readonly<Record<string, string>> = { postgres: '/var/lib/postgresql', redis: '/data' }

/** What compose has to know of a service. */
interface ComposedService {
  readonly service: InfraService
  /** Of its server, as compose reads it. */
  readonly environment: Readonly<Record<string, string>>
  /** In place of that of its image, if any. */
  readonly command: readonly string[]
}

/** The text of the `compose.yaml` that brings the same services up by hand, on the ports of `.env`. */
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

/** On whatever port is free, and within its network under the service's own name. */
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

/** Without a mount of ours, the image's own volume would become an anonymous one that stays. */
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

/** A single dollar would begin a variable of compose. */
function escapeDollars(text: string): string {
  return text.replaceAll('$', '$$$$')
}

function postgresEnvironment(): Record<string, string> {
  const names = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB'] as const
  return Object.fromEntries(names.map((name) => [name, `\${${name}:-${BASE_VARIABLES[name]}}`]))
}

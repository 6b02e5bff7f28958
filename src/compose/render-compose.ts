import { stringify } from 'yaml'
import { BASE_VARIABLES } from '../environment/variable-set.ts'
import type { InfraService } from '../spec/infra-service.ts'
import { type ResolvedSpec, servicesOf } from '../spec/resolve-spec.ts'

const HEADING = `# The stack for manual use: docker compose up -d --wait. Rendered by: vitest-infra compose --write.
# Beside it, in memory and on a network of its own: docker compose --profile test up -d --wait.
`

/** The profile, and the network, of what is there for tests alone. */
const TEST = 'test'

/** Where the images keep their data; since 18 PostgreSQL's volume is the parent of the data directory. */
const DATA_FOLDERS: Readonly<Record<string, string>> = { postgres: '/var/lib/postgresql', redis: '/data' }

/** The text of the `compose.yaml` that brings the same services up by hand, on the ports of `.env`. */
export function renderCompose(spec: ResolvedSpec): string {
  const services = servicesOf(spec).map(({ service }) => service)
  const volumes = services.flatMap(({ volume }) => volume ?? [])
  const document = {
    services: Object.fromEntries([
      ...services.map((service) => [service.name, describeService(service)] as const),
      ...services.map((service) => [`${service.name}-${TEST}`, describeTestService(service)] as const),
    ]),
    ...(services.length > 0 && { networks: { [TEST]: {} } }),
    ...(volumes.length > 0 && { volumes: Object.fromEntries(volumes.map((volume) => [volume, {}])) }),
  }
  return HEADING + stringify(document, { lineWidth: 0, singleQuote: true, blockQuote: false })
}

function describeService(service: InfraService): object {
  return {
    image: service.image,
    restart: 'unless-stopped',
    ...describeEnvironment(service),
    ports: [`127.0.0.1:\${${service.envPortVar}:-${service.defaultPort}}:${service.defaultPort}`],
    ...describeData(service),
    ...describeRest(service),
  }
}

/** On whatever port is free, and within its network under the service's own name. */
function describeTestService(service: InfraService): object {
  return {
    profiles: [TEST],
    image: service.image,
    ...describeEnvironment(service),
    ports: [`127.0.0.1::${service.defaultPort}`],
    networks: { [TEST]: { aliases: [service.name] } },
    ...describeData({ ...service, persistence: false }),
    ...describeRest(service),
  }
}

function describeEnvironment({ name }: InfraService): object {
  return name === 'postgres' ? { environment: postgresEnvironment() } : {}
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

/** Without a mount of ours, the image's own volume would become an anonymous one that stays behind. */
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

import type { ServiceState } from './service-state.ts'
import type { BuiltInServiceName } from '../register.ts'

/** A service's healthcheck, with the semantics of compose. */
export interface Healthcheck {
  /** Shell command, run inside the container; exit code 0 means healthy. */
  readonly cmd: string
  /** Time between two checks, in compose's notation, such as `'5s'`. */
  readonly interval: string
  /** Time after which a check counts as failed, in the same notation. */
  readonly timeout: string
  /** Number of consecutive failures after which the service is unhealthy. */
  readonly retries: number
}

/** Returns the prefix of a service's variables: `MAIL_PIT` for `mail-pit`. */
export function variablePrefix(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}

/** A server that a test suite needs. */
export interface InfraService {
  /** Name in `inject('infra').services`, labels, messages and compose. */
  readonly name: string
  readonly image: string
  readonly healthcheck: Healthcheck
  /** The port that the server listens on inside its container. */
  readonly defaultPort: number
  /** The name of the variable with the port on this machine. */
  readonly envPortVar: string
  /** Whether a stack that is started manually with compose stores the data in `volume`. */
  readonly persistence: boolean
  readonly volume?: string
  readonly state: ServiceState
  readonly labels?: Readonly<Record<string, string>>
}

/** Default timeout for a service to become usable once its image is available, in milliseconds. */
export const DEFAULT_STARTUP_TIMEOUT_MS = 60_000

export const HEALTHCHECK_TIMES = { interval: '5s', timeout: '5s', retries: 12 } as const

/** The built-in services without any configuration. */
export const DEFAULT_SERVICES: Readonly<Record<BuiltInServiceName, InfraService>> = {
  postgres: {
    name: 'postgres',
    image: 'postgres:18-alpine',
    healthcheck: {
      // Checks over TCP: the image's first, temporary server only listens on the Unix socket and must not count.
      cmd: 'pg_isready --host 127.0.0.1 --port 5432 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"',
      ...HEALTHCHECK_TIMES,
    },
    defaultPort: 5432,
    envPortVar: 'POSTGRES_PORT',
    persistence: true,
    volume: 'postgres_data',
    state: 'stopped',
  },
  redis: {
    name: 'redis',
    image: 'redis:8-alpine',
    // redis-cli also exits with 0 after an error reply, such as -LOADING.
    healthcheck: { cmd: 'redis-cli ping | grep PONG', ...HEALTHCHECK_TIMES },
    defaultPort: 6379,
    envPortVar: 'REDIS_PORT',
    persistence: false,
    state: 'stopped',
  },
}

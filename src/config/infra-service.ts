import type { ServiceState } from './service-state.ts'
import type { BuiltInServiceName } from '../register.ts'

/** How a service is asked whether it is well; the same words as in compose. */
export interface Healthcheck {
  /** Shell command, run inside the container; exit code 0 means healthy. */
  readonly cmd: string
  /** Time between two checks, as compose writes it: `'5s'`. */
  readonly interval: string
  /** Time after which one check counts as failed. */
  readonly timeout: string
  /** Failures in a row that make the service unhealthy. */
  readonly retries: number
}

/** What the names of a service's variables begin with: `MAIL_PIT` for `mail-pit`. */
export function variablePrefix(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}

/** A backing server that a suite needs. */
export interface InfraService {
  /** Name in `inject('infra').services`, labels, messages and compose. */
  readonly name: string
  readonly image: string
  readonly healthcheck: Healthcheck
  /** The port that the server listens on inside its container. */
  readonly defaultPort: number
  /** The variable that holds the port on this machine. */
  readonly envPortVar: string
  /** Whether a stack that is started by hand keeps the data in `volume`. */
  readonly persistence: boolean
  readonly volume?: string
  readonly state: ServiceState
  readonly labels?: Readonly<Record<string, string>>
}

/** Time within which an image that is already there must become usable, in milliseconds. */
export const DEFAULT_STARTUP_TIMEOUT_MS = 60_000

export const HEALTHCHECK_TIMES = { interval: '5s', timeout: '5s', retries: 12 } as const

/** What each built-in service is when nothing is configured. */
export const DEFAULT_SERVICES: Readonly<Record<BuiltInServiceName, InfraService>> = {
  postgres: {
    name: 'postgres',
    image: 'postgres:18-alpine',
    healthcheck: {
      // Over TCP: the image's first, temporary server answers on the Unix socket only and must not count.
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
    // redis-cli ends with 0 on an error reply too, such as -LOADING.
    healthcheck: { cmd: 'redis-cli ping | grep PONG', ...HEALTHCHECK_TIMES },
    defaultPort: 6379,
    envPortVar: 'REDIS_PORT',
    persistence: false,
    state: 'stopped',
  },
}

import type {} from 'vitest'
import type { ServiceState } from '../config/service-state.ts'
import type { ServiceName } from '../register.ts'

/** The providers a stack can come from. */
export type ProviderName = 'docker' | 'embedded' | 'external'

/** Address and credentials of PostgreSQL. */
export interface PostgresFacts {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The query of the URL, such as `sslmode=require`; only for an external server. */
  readonly parameters?: string
  /** The schema of this lease, with `postgres.isolation: 'schema'`; the URL sets it as search path. */
  readonly schema?: string
  /** `postgres://user:password@host:port/database`, percent-encoded. */
  readonly url: string
  /** The server's own version, such as `18.6`. */
  readonly version: string
}

/** Address and credentials of Redis. */
export interface RedisFacts {
  readonly host: string
  readonly port: number
  /** The logical database of this lease, with `redis.isolation: 'database'`. */
  readonly database?: number
  /** Credentials and TLS, only for an external server that requires them. */
  readonly user?: string
  readonly password?: string
  readonly tls?: true
  /** `redis://host:port`, followed by `/database` if the lease has one. */
  readonly url: string
  /** The server's own version, such as `8.0.6`. */
  readonly version: string
}

/** Address and state of a service. */
export interface ServiceFacts {
  readonly host: string
  readonly port: number
  readonly state: ServiceState
}

/** Facts about the stack that tests can read. They are plain data, so that they can be sent to a worker. */
export interface InfraFacts {
  readonly provider: ProviderName
  /** Undefined at run time if `services` does not contain `postgres`. */
  readonly postgres: PostgresFacts
  /** Undefined at run time if `services` does not contain `redis`. */
  readonly redis: RedisFacts
  readonly services: Readonly<Record<ServiceName, ServiceFacts>>
  /** The variables that are set in this project's environment. */
  readonly env: Readonly<Record<string, string>>
}

/** {@link InfraFacts} without the variables derived from them. */
export type StackFacts = Omit<InfraFacts, 'env'>

declare module 'vitest' {
  interface ProvidedContext {
    infra: InfraFacts
  }
}

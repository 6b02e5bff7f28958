import type {} from 'vitest'
import type { ServiceState } from '../config/service-state.ts'
import type { ServiceName } from '../register.ts'

/** The providers a stack can come from. */
export type ProviderName = 'docker' | 'embedded' | 'external'

/** The address of PostgreSQL, and the account to use. */
export interface PostgresFacts {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The part of the URL after `?`, such as `sslmode=require`; only of an existing server. */
  readonly parameters?: string
  /** The schema of this lease, with `postgres.isolation: 'schema'`; the URL has it as search path. */
  readonly schema?: string
  /** `postgres://user:password@host:port/database`, percent-encoded. */
  readonly url: string
  /** The server's own version, such as `18.6`. */
  readonly version: string
}

/** Where Redis is. */
export interface RedisFacts {
  readonly host: string
  readonly port: number
  /** The logical database of this lease, with `redis.isolation: 'database'`. */
  readonly database?: number
  /** The account and TLS, only of an existing server that requires them. */
  readonly user?: string
  readonly password?: string
  readonly tls?: true
  /** `redis://host:port`, and `/database` where there is one. */
  readonly url: string
  /** The server's own version, such as `8.0.6`. */
  readonly version: string
}

/** One service of the stack. */
export interface ServiceFacts {
  readonly host: string
  readonly port: number
  readonly state: ServiceState
}

/** What a test can know about the stack; plain data, because it crosses into the worker. */
export interface InfraFacts {
  readonly provider: ProviderName
  /** Missing at run time if `services` leaves `postgres` out. */
  readonly postgres: PostgresFacts
  /** Missing at run time if `services` leaves `redis` out. */
  readonly redis: RedisFacts
  readonly services: Readonly<Record<ServiceName, ServiceFacts>>
  /** The variables that were put into this project's environment. */
  readonly env: Readonly<Record<string, string>>
}

/** {@link InfraFacts} without the environment that is derived from them. */
export type StackFacts = Omit<InfraFacts, 'env'>

declare module 'vitest' {
  interface ProvidedContext {
    infra: InfraFacts
  }
}

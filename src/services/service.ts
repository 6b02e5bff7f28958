import type { InfraService } from '../spec/infra-service.ts'

/** Where a server can be reached from this process. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** What a service needs wherever it runs, and how it is asked whether it serves. */
export interface ServiceDefinition {
  readonly service: InfraService
  readonly hostPort: number | undefined
  /** Environment of the server process. */
  readonly environment: Readonly<Record<string, string>>
  /** The server's command line. */
  readonly command: readonly string[]
  /** Size of `/dev/shm`, where the server needs more than the engine's default, in bytes. */
  readonly sharedMemoryBytes?: number
  /** Asks the server a real question from here and returns its version; rejects while it does not serve. */
  readonly probe: (address: Address, signal: AbortSignal) => Promise<string>
  /** Fills the server once it is healthy, before anyone uses it. */
  readonly prepare?: (address: Address, signal: AbortSignal) => Promise<void>
}

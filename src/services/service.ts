import type { InfraService } from '../config/infra-service.ts'
import type { ServiceState } from '../config/service-state.ts'

/** Where a server can be reached from this process. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** The clients of a server, except for the connection that counts them. */
export interface ClientCount {
  /** Number of connected clients. */
  readonly connected: number
  /** Number of connections that the server has accepted since the count was reset. */
  readonly received: number
  /** How often a client has killed connections of other clients since the count was reset. */
  readonly kills: number
  /** Number of connections that the server has accepted since its start, including the one that counts them. */
  readonly connections: number
}

/** Additional server processes of a service, in the same container or folder as the first, each on its own port. */
export interface Instances {
  readonly count: number
  /** The command line of an instance, whose data is in `folder`. */
  readonly command: (port: string, folder: string) => readonly string[]
  /** The signal that ends an instance at once, with all its child processes. */
  readonly endSignal: 'KILL' | 'QUIT'
}

/**
 * Actions on an instance that keep its data: `stop` shuts it down in an orderly way, `start` starts it, after ending a
 * running process, `pause` freezes all its processes, and `resume` continues them.
 */
export type InstanceAction = 'stop' | 'start' | 'pause' | 'resume'

/** How the data of a service is stored for later runs. */
export interface SnapshotDefinition {
  /** Identifies everything that determines the data, except for the image. */
  readonly key: string
  /**
   * A POSIX shell script that copies the data from the folder `$snapshot` to the folder from which the server reads it.
   */
  readonly restore: string
}

/** Where the data of a server comes from. */
export type SnapshotUse =
  | { readonly kind: 'none' }
  /** The server of an earlier run is still running, with its data and the note of that run. */
  | { readonly kind: 'attached'; readonly note: string }
  /** The data comes from a snapshot, which `discard()` deletes. */
  | { readonly kind: 'restored'; readonly discard: () => Promise<void> }
  /** New data. `keep()` stores `folder`, a path where the server runs, completely or not at all. */
  | { readonly kind: 'missing'; readonly folder: string; readonly keep: KeepSnapshot }

/**
 * Stores a snapshot. If `signal` aborts, it starts no further step and removes what it has created. If `abandon` aborts,
 * it settles at once and no longer keeps this process alive.
 */
export type KeepSnapshot = (signal: AbortSignal, abandon: AbortSignal) => Promise<void>

/** Result of a service's own healthcheck. */
export interface HealthcheckResult {
  readonly passed: boolean
  /** What the check printed. */
  readonly output: string
}

/** Whether a service's server is running and, if not, how it exited. */
export type ServerStatus =
  | { readonly running: true }
  | { readonly running: false; readonly exitCode: number | undefined; readonly outOfMemory: boolean }

export type ServerExit = Extract<ServerStatus, { running: false }>

/** How a server stays running for the next run. */
export interface ServerReuse {
  /** How long the server stays up unused, in milliseconds. */
  readonly idleTimeoutMs: number
  /** Stores a text that the next run reads as the note of {@link SnapshotUse}. */
  readonly note: (text: string) => void
  /** Leaves the server running; called instead of `stop()`. Resolves soon, and never rejects. */
  readonly detach: () => Promise<void>
}

/** A server that a provider has started. */
export interface StartedService {
  readonly address: Address
  /** The server's name in messages, such as the container's name. */
  readonly label: string
  /** The name of the server's container, if it runs in one. */
  readonly container?: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  /** Free space where the server keeps its data, in bytes; undefined if unknown. */
  freeBytes(): Promise<number | undefined>
  /** Copies the server's current data, from which its instances start. */
  takeBase(): Promise<void>
  runHealthcheck(): Promise<HealthcheckResult>
  status(): Promise<ServerStatus>
  /**
   * Resolves if the server exits without having been stopped. It does not keep this process alive. Undefined if exits
   * cannot be observed.
   */
  readonly exited?: Promise<ServerExit>
  /** The last `count` lines of the server's log, none older than `sinceMs` by the server's clock. */
  logTail(count: number, sinceMs?: number): Promise<string>
  /** Defined only for a server that may outlive its run. */
  readonly reuse?: ServerReuse | undefined
  /**
   * Stops the server and removes everything that was created for it. It keeps this process alive until then. If `abandon`
   * aborts, it resolves at once, and the removal finishes even without this process. Further calls do nothing.
   */
  stop(abandon?: AbortSignal): Promise<void>
}

/** A started service that has passed the health gate: the same object, with the results of the gate. */
export interface HealthyService extends StartedService {
  /** The service's name. */
  readonly name: string
  /** The version that the server reports. */
  readonly version: string
  readonly state: ServiceState
}

/** The requirements of a service with any provider, and the check whether it is usable. */
export interface ServiceDefinition {
  readonly service: InfraService
  readonly hostPort: number | undefined
  /** Environment of the server process. */
  readonly environment: Readonly<Record<string, string>>
  /** The server's command line; empty to use the image's default command. */
  readonly command: readonly string[]
  /** Whether the service is user-defined. It is unknown which signals stop such a server. */
  readonly isCustom?: boolean
  readonly instances?: Instances
  /** Size of `/dev/shm` in bytes, if the server needs more than the engine's default. */
  readonly sharedMemoryBytes?: number
  /** Sends a real query from this process and returns the server's version; rejects while the server is not usable. */
  readonly probe: (address: Address, signal: AbortSignal) => Promise<string>
  readonly snapshot?: SnapshotDefinition
  /** Fills the server once it is healthy, before it is used. */
  readonly prepare?: (server: HealthyService) => Promise<void>
}

/** One of a service's instances. It is not running until its first `restart()`. */
export interface ServerInstance {
  readonly address: Address
  /**
   * Ends the instance's process, if any, and starts a new one with new data. The new process may not answer yet when
   * this resolves. `words` are additional arguments, without spaces; they apply until the next restart.
   */
  restart(words?: readonly string[]): Promise<void>
  /** Ends the instance's process at once and removes its data. */
  end(): Promise<void>
  control(action: InstanceAction): Promise<void>
}

/**
 * Returns the ports on which a service's instances listen inside its container or on its machine: the ones after its
 * own.
 */
export function instancePortsOf({ service, instances }: ServiceDefinition): number[] {
  return Array.from({ length: instances?.count ?? 0 }, (_, index) => service.defaultPort + 1 + index)
}

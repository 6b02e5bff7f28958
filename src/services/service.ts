import type { InfraService } from '../config/infra-service.ts'
import type { ServiceState } from '../config/service-state.ts'

/** Where a server can be reached from this process. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** The clients of a server, except the connection that counts them. */
export interface ClientCount {
  /** How many are connected. */
  readonly connected: number
  /** How many connections the server has accepted since the count was reset. */
  readonly received: number
  /** How often a client has killed connections of others since the reset. */
  readonly kills: number
  /** How many connections the server has accepted since its start, including the one that counts them. */
  readonly connections: number
}

/** Additional server processes of a service, in the same container or folder as the first, each on its own port. */
export interface Instances {
  readonly count: number
  /** The command line of one. `folder` is for its data. */
  readonly command: (port: string, folder: string) => readonly string[]
  /** The signal that ends one at once, with all its child processes. */
  readonly endSignal: 'KILL' | 'QUIT'
}

/**
 * Actions on an instance that keep its data: `stop` shuts it down in an orderly way, `start` starts it again (and ends it
 * first if it is running), `pause` freezes all its processes and `resume` continues them.
 */
export type InstanceAction = 'stop' | 'start' | 'pause' | 'resume'

/** How the data of a service is stored for later runs. */
export interface SnapshotDefinition {
  /** Identifies everything that the data is made of, but for the image. */
  readonly key: string
  /** A POSIX shell script that puts the data in the folder `$snapshot` where the server looks for its own. */
  readonly restore: string
}

/** Where the data of a server comes from. */
export type SnapshotUse =
  | { readonly kind: 'none' }
  /** An earlier run left the server up, with its data and a note. */
  | { readonly kind: 'attached'; readonly note: string }
  /** A snapshot; `discard()` deletes it. */
  | { readonly kind: 'restored'; readonly discard: () => Promise<void> }
  /** New data. `keep()` makes a snapshot of `folder`, a path where the server runs: of all of it or nothing. */
  | { readonly kind: 'missing'; readonly folder: string; readonly keep: KeepSnapshot }

/**
 * If `signal` aborts, it starts no further step and removes what it made. If `letGo` aborts, it settles at once and no
 * longer keeps this process alive.
 */
export type KeepSnapshot = (signal: AbortSignal, letGo: AbortSignal) => Promise<void>

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

/** How a server is handed to the next run. */
export interface ServerReuse {
  /** How long it stays up unused. */
  readonly idleTimeoutMs: number
  /** Stores a text that the next run reads as the note of {@link SnapshotUse}. */
  readonly note: (text: string) => void
  /** Called in place of `stop()`: leaves the server running. Resolves soon, and never rejects. */
  readonly detach: () => Promise<void>
}

/** A server that a provider has started. */
export interface StartedService {
  readonly address: Address
  /** Its name in messages, such as the container's name. */
  readonly label: string
  /** The name of its container, if it runs in one. */
  readonly container?: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  /** Free space where the server keeps its data, in bytes; undefined if unknown. */
  freeBytes(): Promise<number | undefined>
  /** Copies the server's current data, from which its instances start. */
  takeBase(): Promise<void>
  runHealthcheck(): Promise<HealthcheckResult>
  status(): Promise<ServerStatus>
  /** Resolves if the server exits without having been stopped; keeps no process alive. Undefined if that cannot be observed. */
  readonly exited?: Promise<ServerExit>
  /** The last `count` lines of the server's log, none older than `sinceMs` by the server's clock. */
  logTail(count: number, sinceMs?: number): Promise<string>
  /** Only of a server that may outlive its run. */
  readonly reuse?: ServerReuse | undefined
  /**
   * Ends the server and removes all that was made for it, and holds this process until that is done. Once `letGo` aborts,
   * it resolves at once, and the rest is done without this process, which may exit. Further calls do nothing.
   */
  stop(letGo?: AbortSignal): Promise<void>
}

/** A started service that passed the health gate. It is the same object, with what the gate found out. */
export interface HealthyService extends StartedService {
  /** The service's name. */
  readonly name: string
  /** As the server reports it. */
  readonly version: string
  readonly state: ServiceState
}

/** What a service needs wherever it runs, and how to find out whether it is usable. */
export interface ServiceDefinition {
  readonly service: InfraService
  readonly hostPort: number | undefined
  /** Environment of the server process. */
  readonly environment: Readonly<Record<string, string>>
  /** The server's command line; empty to use the image's default command. */
  readonly command: readonly string[]
  /** Whether the user defined it. The signals that end its server are then unknown. */
  readonly isCustom?: boolean
  readonly instances?: Instances
  /** Size of `/dev/shm`, where the server needs more than the engine's default, in bytes. */
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
   * Ends its process, if any, and starts a new one with new data. The new process may not answer yet when this resolves.
   * `words` are additional arguments, without spaces; they apply until the next restart.
   */
  restart(words?: readonly string[]): Promise<void>
  /** Ends its process at once and removes its data. */
  end(): Promise<void>
  control(action: InstanceAction): Promise<void>
}

/** The ports on which a service's instances listen where they run: the ones after its own. */
export function instancePortsOf({ service, instances }: ServiceDefinition): number[] {
  return Array.from({ length: instances?.count ?? 0 }, (_, index) => service.defaultPort + 1 + index)
}

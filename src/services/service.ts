import type { InfraService } from '../config/infra-service.ts'

/** Where a server can be reached from this process. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** The clients of a server, without the connection that counts them. */
export interface ClientCount {
  /** How many are connected. */
  readonly connected: number
  /** How many connections the server has accepted since the count was reset. */
  readonly received: number
  /** How often a client made the server close connections since then. */
  readonly kills: number
  /** How many connections the server has accepted since it started, with the one that counts them. */
  readonly connections: number
}

/** Further server processes of a service, in the same place as its first one, each on a port of its own. */
export interface Instances {
  readonly count: number
  /** Command line of one; `port` is where it listens, `folder` a folder of its own. */
  readonly command: (port: string, folder: string) => readonly string[]
  /** A POSIX shell script that fills `$base`, a folder that they have in common, each time that it is asked for. */
  readonly base?: string
  /** A POSIX shell script that fills the folder of one, named by `$folder`, before it starts anew. */
  readonly prepare?: string
  /** The account that the image's entrypoint is run as, where it is not that of the container. */
  readonly user?: string
  /** The variable by which an image's entrypoint finds the folder of a server's data, if it looks for it. */
  readonly folderVariable?: string
  /** The signal to its process that ends one at once, whatever it is doing, with all its processes. */
  readonly endSignal: 'KILL' | 'QUIT'
}

/**
 * What can be done to an instance that runs, its data staying: to end it as its operator would, to start it again (at once
 * ended, if it runs), to freeze it with all its processes, and to let it go on.
 */
export type InstanceAction = 'stop' | 'start' | 'pause' | 'resume'

/** How the data of a service is kept for a later run. */
export interface SnapshotDefinition {
  /** Identifies everything that the data is made of, but for the image. */
  readonly key: string
  /** A POSIX shell script that puts the data in the folder `$snapshot` where the server looks for its own. */
  readonly restore: string
}

/** What the data of a server has to do with a snapshot. */
export type SnapshotUse =
  | { readonly kind: 'none' }
  /** It is none: the server was up before, with what the run before has left there, and has noted. */
  | { readonly kind: 'attached'; readonly note: string }
  /** It came from one, which `discard()` throws away. */
  | { readonly kind: 'restored'; readonly discard: () => Promise<void> }
  /** There is none yet: what is put into `folder`, where the server runs, becomes one by `keep()`, whole or not at all. */
  | { readonly kind: 'missing'; readonly folder: string; readonly keep: KeepSnapshot }

/**
 * Begins with nothing more once `signal` aborts, and removes what it made. `letGo` says that nobody waits for that any
 * more: it settles at once, whatever it is waiting for, and nothing of it holds this process.
 */
export type KeepSnapshot = (signal: AbortSignal, letGo: AbortSignal) => Promise<void>

/** A server that the health gate admitted. */
export interface HealthyServer {
  readonly address: Address
  /** As it said itself. */
  readonly version: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  /** Room where it keeps its data, in bytes; undefined where that cannot be known. */
  readonly freeBytes: () => Promise<number | undefined>
  /** Fills what the instances' preparation starts from, as it is now. */
  readonly takeBase: () => Promise<void>
  /** The last `count` lines of its log, none older than `sinceMs` by its clock. */
  readonly logTail: (count: number, sinceMs: number) => Promise<string>
  /** Hands this text to the next run; only where the server stays up for one. */
  readonly noteForNextRun: ((text: string) => void) | undefined
  /** The container that it runs in, if it does. */
  readonly container: string | undefined
}

/** What a service needs wherever it runs, and how it is asked whether it serves. */
export interface ServiceDefinition {
  readonly service: InfraService
  readonly hostPort: number | undefined
  /** Environment of the server process. */
  readonly environment: Readonly<Record<string, string>>
  /** The server's command line; empty: that of its image. */
  readonly command: readonly string[]
  /** Whether it is the user's own, so that nobody here knows which signals end its server. */
  readonly isCustom?: boolean
  readonly instances?: Instances
  /** Size of `/dev/shm`, where the server needs more than the engine's default, in bytes. */
  readonly sharedMemoryBytes?: number
  /** Asks the server a real question from here and returns its version; rejects while it does not serve. */
  readonly probe: (address: Address, signal: AbortSignal) => Promise<string>
  readonly snapshot?: SnapshotDefinition
  /** Fills the server once it is healthy, before anyone uses it. */
  readonly prepare?: (server: HealthyServer) => Promise<void>
}

/** One of a service's instances: not running until it is started for the first time. */
export interface ServerInstance {
  readonly address: Address
  /**
   * Ends its process, if there is one, and starts a new one, which may not answer yet when this resolves; with further
   * arguments, none of which has a space in it, until it is started anew.
   */
  restart(words?: readonly string[]): Promise<void>
  /** Ends its process at once and removes its data, until it is started anew. */
  end(): Promise<void>
  control(action: InstanceAction): Promise<void>
}

/** The ports that a service's instances listen on where they run: those that follow its own. */
export function instancePortsOf({ service, instances }: ServiceDefinition): number[] {
  return Array.from({ length: instances?.count ?? 0 }, (_, index) => service.defaultPort + 1 + index)
}

import type { ProviderName } from '../environment/infra-facts.ts'
import type { Report } from '../report/events.ts'
import type { Address, ServiceDefinition, ServerInstance, SnapshotUse } from '../services/service.ts'

/** Outcome of asking a service's own healthcheck. */
export interface HealthcheckResult {
  readonly passed: boolean
  /** What the check printed. */
  readonly output: string
}

/** Whether a service's server still runs and, if not, how it ended. */
export type ServerStatus =
  | { readonly running: true }
  | { readonly running: false; readonly exitCode: number | undefined; readonly outOfMemory: boolean }

export type ServerExit = Extract<ServerStatus, { running: false }>

/** What is done to a server that is to serve the next run, too. */
export interface Keeping {
  /** How long it stays up when no run uses it. */
  readonly idleTimeoutMs: number
  /** Hands this text to the next run. */
  readonly note: (text: string) => void
  /** Lets go of the server, in place of stopping it; soon, and without failing. */
  readonly leave: () => Promise<void>
}

/** A server that was started and is not yet known to be healthy. */
export interface StartedService {
  readonly address: Address
  /** What to call it in a message: the container's name. */
  readonly label: string
  readonly instances: readonly ServerInstance[]
  readonly snapshot: SnapshotUse
  /** Room where the server keeps its data, in bytes; undefined where that cannot be known. */
  freeBytes(): Promise<number | undefined>
  /** Fills what the instances' preparation starts from, as it is now. */
  takeBase(): Promise<void>
  runHealthcheck(): Promise<HealthcheckResult>
  status(): Promise<ServerStatus>
  /** Resolves when the server exits without having been stopped; keeps no process alive. None where that is not known. */
  readonly ended?: Promise<ServerExit>
  /** The last `count` lines of the server's log, none older than `sinceMs` by the server's clock. */
  logTail(count: number, sinceMs?: number): Promise<string>
  /** Of a server that may outlive its run. */
  readonly keeping?: Keeping | undefined
  /**
   * Ends the server and removes all that was made for it, and holds this process until that is done. Once `letGo` aborts,
   * it resolves at once, and what is left is done without this process, which may end. Calling it again does nothing.
   */
  stop(letGo?: AbortSignal): Promise<void>
}

export interface StartContext {
  readonly report: Report
  readonly signal: AbortSignal
  /** How long a service may take to start, in milliseconds. */
  readonly startupTimeoutMs: number
  /** Called when there is time for other work, since all that is left is to wait for somebody's answer. */
  readonly onWaiting?: (() => void) | undefined
}

/** How services are obtained. */
export interface Provider {
  readonly name: ProviderName
  /** One line for people: what serves, and why it was chosen. */
  readonly description: string
  /** Starts one server; when it rejects, nothing of it is left. */
  start(definition: ServiceDefinition, context: StartContext): Promise<StartedService>
  /** Removes what runs that are over have left, until the signal; never anything of a run that is alive. */
  sweep(signal: AbortSignal): Promise<void>
}

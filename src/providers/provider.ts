import type { ProviderName } from '../environment/infra-facts.ts'
import type { Report } from '../report/events.ts'
import type { ServiceDefinition, StartedService } from '../services/service.ts'

export interface StartContext {
  readonly report: Report
  readonly signal: AbortSignal
  /** Called once the start only waits for answers, so that the caller can do other work meanwhile. */
  readonly onWaiting?: (() => void) | undefined
}

/** Obtains the servers of services, for example as containers or as local processes. */
export interface Provider {
  readonly name: ProviderName
  /** One line for the user: the chosen provider, and why it was chosen. */
  readonly description: string
  /** Starts one server. If the start fails, nothing of the server is left. */
  start(definition: ServiceDefinition, context: StartContext): Promise<StartedService>
  /** Removes leftovers of runs that have ended, until `signal` aborts. Never removes anything of a live run. */
  sweep(signal: AbortSignal): Promise<void>
}

import type { ProviderName } from '../environment/infra-facts.ts'
import type { Report } from '../report/events.ts'
import type { ServiceDefinition, StartedService } from '../services/service.ts'

export interface StartContext {
  readonly report: Report
  readonly signal: AbortSignal
  /** Called once the start only waits for answers, so that other work can be done meanwhile. */
  readonly onWaiting?: (() => void) | undefined
}

/** How services are obtained. */
export interface Provider {
  readonly name: ProviderName
  /** One line for the user: what was chosen, and why. */
  readonly description: string
  /** Starts one server. If it rejects, nothing of it is left. */
  start(definition: ServiceDefinition, context: StartContext): Promise<StartedService>
  /** Removes leftovers of runs that are over, until `signal` aborts; never anything of a live run. */
  sweep(signal: AbortSignal): Promise<void>
}

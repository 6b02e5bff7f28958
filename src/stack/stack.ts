import { InfraError, messageOf } from '../errors.ts'
import { awaitHealthy } from '../health/gate.ts'
import type { ServiceState } from '../health/service-state.ts'
import type { Clock } from '../internal/clock.ts'
import type { Provider, StartedService } from '../providers/provider.ts'
import type { Report } from '../report/events.ts'
import type { Address, ServiceDefinition } from '../services/service.ts'

export interface StackOptions {
  readonly provider: Provider
  readonly definitions: readonly ServiceDefinition[]
  readonly startupTimeoutMs: number
  readonly report: Report
  readonly clock: Clock
}

/** A service of a stack that passed the health gate and was prepared. */
export interface ReadyService {
  readonly name: string
  readonly address: Address
  readonly version: string
  readonly state: ServiceState
}

/** The services of one run: started side by side, ended together. */
export class Stack {
  readonly #options: StackOptions
  readonly #abort = new AbortController()
  readonly #started: StartedService[] = []
  #starting: Promise<readonly ReadyService[]> | undefined
  #stopping: Promise<void> | undefined

  constructor(options: StackOptions) {
    this.#options = options
  }

  /** Resolves when every service is ready; when one fails, the others are taken down before the error leaves. */
  start(): Promise<readonly ReadyService[]> {
    this.#starting ??= this.#startAll()
    return this.#starting
  }

  /** Ends a start in flight and removes every service; tries all of them before it reports a failure. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll().catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }

  async #startAll(): Promise<readonly ReadyService[]> {
    const outcomes = await Promise.allSettled(this.#options.definitions.map((definition) => this.#startOne(definition)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failed) {
      return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    }
    await this.#removeAll().catch((error: unknown) => {
      this.#options.report({ type: 'stop-failed', message: messageOf(error) })
    })
    // The first to fail aborts the others with its own error as the reason.
    throw this.#abort.signal.reason
  }

  async #startOne(definition: ServiceDefinition): Promise<ReadyService> {
    const { provider, report, clock, startupTimeoutMs } = this.#options
    const { signal } = this.#abort
    const beginMs = clock.now()
    try {
      const started = await provider.start(definition, { report, signal })
      this.#started.push(started)
      const { address } = started
      const admission = await awaitHealthy({ definition, started, windowMs: startupTimeoutMs, clock, signal })
      const { name } = definition.service
      const elapsedMs = clock.now() - beginMs
      report({ type: 'service-healthy', service: name, version: admission.version, ...address, elapsedMs })
      const { siblings } = started
      const freeBytes = () => started.freeBytes()
      await definition.prepare?.({ address, version: admission.version, siblings, freeBytes })
      return { name, address, ...admission }
    } catch (error) {
      this.#abort.abort(error)
      throw error
    }
  }

  async #stopAll(): Promise<void> {
    this.#abort.abort(startAborted())
    // At once, since a migration that is running ends with its server; then what came up meanwhile.
    const [removed] = await Promise.allSettled([this.#removeAll(), this.#starting])
    if (removed.status === 'rejected') {
      throw removed.reason
    }
    await this.#removeAll()
  }

  async #removeAll(): Promise<void> {
    const services = this.#started.splice(0)
    const outcomes = await Promise.allSettled(services.map((service) => service.stop()))
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [{ service: services[index], reason: outcome.reason as unknown }] : [],
    )
    if (failures.length > 0) {
      this.#started.push(...failures.flatMap(({ service }) => service ?? []))
      throw stopFailed(failures.map(({ service, reason }) => ({ label: service?.label ?? '', reason })))
    }
  }
}

/** The reason given to whatever is still starting when a run ends. */
export function startAborted(): InfraError {
  return new InfraError('INFRA_START_ABORTED', {
    problem: 'Cannot start the stack: the run ended while its services were starting',
    remedy: 'Start the run again',
  })
}

function stopFailed(failures: readonly { readonly label: string; readonly reason: unknown }[]): InfraError {
  const lines = failures.map(({ label, reason }) => `${label}: ${messageOf(reason)}`)
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot stop the stack: ${lines.join('; ')}`,
    remedy: `Remove what is left with: docker rm -fv ${failures.map(({ label }) => label).join(' ')}`,
    cause: failures,
  })
}

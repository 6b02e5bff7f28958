import type { ProviderName } from '../environment/infra-facts.ts'
import { InfraError, messageOf } from '../errors.ts'
import { awaitHealthy } from '../health/gate.ts'
import type { ServiceState } from '../health/service-state.ts'
import type { Clock } from '../internal/clock.ts'
import type { Provider, StartedService } from '../providers/provider.ts'
import type { Report } from '../report/events.ts'
import type { Address, ServiceDefinition } from '../services/service.ts'

/** Servers end behind us: long enough for the engine to refuse, too short for a person to notice. */
const STOP_PATIENCE_MS = 30
/** With a port of its own choice, the next run wants the same one. */
const PINNED_PATIENCE_MS = 10_000
/** A server that has only to start is up in a second; one that is not is sooner made anew. */
const RESTORED_WINDOW_MS = 20_000

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
    const { provider, report, clock } = this.#options
    const { signal } = this.#abort
    try {
      const beganMs = clock.now()
      const started = await provider.start(definition, { report, signal })
      this.#started.push(started)
      return await this.#makeReady(definition, started, beganMs).catch(async (error: unknown) => {
        signal.throwIfAborted()
        await this.#discardSnapshot(definition, started, error)
        return this.#startOne({ ...definition, snapshot: undefined })
      })
    } catch (error) {
      this.#abort.abort(error)
      throw error
    }
  }

  async #makeReady(definition: ServiceDefinition, started: StartedService, beganMs: number): Promise<ReadyService> {
    const { provider, report, clock, startupTimeoutMs } = this.#options
    const { address, siblings, snapshot } = started
    const { name } = definition.service
    const isRestored = snapshot.kind === 'restored'
    const windowMs = isRestored ? Math.min(startupTimeoutMs, RESTORED_WINDOW_MS) : startupTimeoutMs
    const admission = await awaitHealthy({ definition, started, windowMs, clock, signal: this.#abort.signal })
    const { version } = admission
    const elapsedMs = clock.now() - beganMs
    report({ type: 'service-healthy', service: name, version, ...address, elapsedMs, isRestored })
    await definition.prepare?.({
      address,
      version,
      siblings,
      snapshot,
      freeBytes: () => started.freeBytes(),
      takeBase: () => started.takeBase(),
      logTail: (count, sinceMs) => started.logTail(count, sinceMs),
      container: provider.name === 'docker' ? started.label : undefined,
    })
    return { name, address, ...admission }
  }

  /** Makes way for a start without a snapshot, if it was a server from one that failed; else throws what made it fail. */
  async #discardSnapshot({ service }: ServiceDefinition, started: StartedService, error: unknown): Promise<void> {
    if (started.snapshot.kind !== 'restored') {
      throw error
    }
    await started.stop()
    this.#started.splice(this.#started.indexOf(started), 1)
    await started.snapshot.discard()
    const [reason = ''] = messageOf(error).split('\n')
    this.#options.report({ type: 'snapshot-discarded', service: service.name, reason })
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

  /** Throws what fails at once; what fails when nobody waits any more is reported, should this process live to see it. */
  async #removeAll(): Promise<void> {
    const services = this.#started.splice(0)
    if (services.length === 0) {
      return
    }
    await this.#waitAWhile(this.#remove(services))
  }

  async #remove(services: readonly StartedService[]): Promise<void> {
    const results = await Promise.all(services.map((service) => removeOne(service)))
    const failures = results.filter((result) => result !== undefined)
    if (failures.length > 0) {
      this.#started.push(...failures.map(({ service }) => service))
      throw stopFailed(this.#options.provider.name, failures)
    }
  }

  async #waitAWhile(removed: Promise<void>): Promise<void> {
    const { definitions, clock, report } = this.#options
    const isPinned = definitions.some(({ hostPort }) => hostPort !== undefined)
    const settled = new AbortController()
    const over = clock.sleep(isPinned ? PINNED_PATIENCE_MS : STOP_PATIENCE_MS, settled.signal).then(
      () => 'over' as const,
      () => 'settled' as const,
    )
    const outcome = await Promise.race([removed, over]).finally(() => settled.abort())
    if (outcome === 'over') {
      removed.catch((error: unknown) => report({ type: 'stop-failed', message: messageOf(error) }))
    }
  }
}

async function removeOne(service: StartedService): Promise<{ service: StartedService; reason: unknown } | undefined> {
  try {
    await service.stop()
  } catch (reason) {
    return { service, reason }
  }
}

/** The reason given to whatever is still starting when a run ends. */
export function startAborted(): InfraError {
  return new InfraError('INFRA_START_ABORTED', {
    problem: 'Cannot start the stack: the run ended while its services were starting',
    remedy: 'Start the run again',
  })
}

function stopFailed(
  provider: ProviderName,
  failures: readonly { readonly service: StartedService; readonly reason: unknown }[],
): InfraError {
  const labels = failures.map(({ service }) => service.label)
  const lines = failures.map(({ service, reason }) => `${service.label}: ${messageOf(reason)}`)
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot stop the stack: ${lines.join('; ')}`,
    remedy:
      provider === 'docker'
        ? `Remove what is left with: docker rm -fv ${labels.join(' ')}`
        : `End what is left: ${labels.join(', ')}`,
    cause: failures,
  })
}

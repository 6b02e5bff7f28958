import { Readable } from 'node:stream'
import type { ProviderName } from '../environment/infra-facts.ts'
import { InfraError, messageOf } from '../errors.ts'
import { awaitHealthy } from '../health/gate.ts'
import type { Clock } from '../internal/clock.ts'
import type { Provider } from '../providers/provider.ts'
import type { Report } from '../report/events.ts'
import type { HealthyService, ServiceDefinition, StartedService } from '../services/service.ts'
import { isUsersFault } from './users-fault.ts'
import { describeLoss, describeLostStart, type Loss, type LostService } from './service-lost.ts'

/** After this time, servers are stopped in the background. It is long enough for an engine to refuse the stop. */
const STOP_TIMEOUT_MS = 30
/** If a port is pinned, the stop is awaited longer, because the next run needs the same port. */
const PINNED_STOP_TIMEOUT_MS = 5_000
/** A restored server starts within a second. After this time, a new one is faster. */
const RESTORED_TIMEOUT_MS = 20_000
/** A server that is already running answers at once. */
const ATTACHED_TIMEOUT_MS = 3_000
const TIMEOUTS_MS = { none: Infinity, missing: Infinity, restored: RESTORED_TIMEOUT_MS, attached: ATTACHED_TIMEOUT_MS }
/** A connection breaks before the engine reports that its server has exited. */
const EXIT_TIMEOUT_MS = 500
/**
 * Maximum number of restarts per service. A server that keeps exiting has a cause that another start does not remove.
 */
const RESTARTS = 3
const ORIGINS = { none: 'new', missing: 'new', restored: 'snapshot', attached: 'earlier run' } as const

export interface StackOptions {
  readonly provider: Provider
  readonly definitions: readonly ServiceDefinition[]
  readonly startupTimeoutMs: number
  /** The services that are restarted if their server exits. */
  readonly restarted: readonly string[]
  readonly report: Report
  readonly clock: Clock
  /** Called once every start is only waiting for an answer. */
  readonly onWaiting?: () => void
}

/** A service that was ready and whose server has exited by itself. */
export interface StackLoss {
  readonly lost: Promise<LostService>
  /** All services, once this one is ready again; undefined if it is not restarted. */
  readonly restarted: Promise<readonly HealthyService[]> | undefined
}

/** The services of one run: started in parallel, stopped together. */
export class Stack {
  readonly #options: StackOptions
  readonly #abort = new AbortController()
  readonly #started: StartedService[] = []
  /** Services whose data this run is changing. If an attached one is among them, it cannot be reused. */
  readonly #inPreparation = new Set<StartedService>()
  /** Services that are prepared and whose servers are running. */
  readonly #ready = new Set<StartedService>()
  /** The last healthy server of each service, by name. */
  readonly #services = new Map<string, HealthyService>()
  readonly #restarts = new Map<string, number>()
  readonly #losses = new Readable({ objectMode: true, read() {} })
  #waiting = 0
  #starting: Promise<readonly HealthyService[]> | undefined
  #stopping: Promise<void> | undefined

  constructor(options: StackOptions) {
    this.#options = options
  }

  /** Resolves when every service is ready. If one fails, the others are stopped before it rejects. */
  start(): Promise<readonly HealthyService[]> {
    this.#starting ??= this.#startAll()
    return this.#starting
  }

  /** Yields each server that exits by itself. */
  get losses(): AsyncIterable<StackLoss> {
    return this.#losses
  }

  /** Whether the stack is ready and stays up for the next run. */
  get staysUp(): boolean {
    return this.idleTimeoutMs !== undefined
  }

  /** How long the stack stays up unused, in milliseconds; undefined if it does not stay up for the next run. */
  get idleTimeoutMs(): number | undefined {
    const timeouts = [...this.#ready].flatMap(({ reuse }) => reuse?.idleTimeoutMs ?? [])
    return timeouts.length > 0 ? Math.min(...timeouts) : undefined
  }

  /** The services that are not ready yet. */
  get missing(): readonly string[] {
    return this.#options.definitions.map(({ service }) => service.name).filter((name) => !this.#services.has(name))
  }

  /**
   * Aborts a start in progress and removes every service, except those that stay up for the next run. It tries to
   * remove all of them before it rejects. Removals that take longer, or are unfinished when `abandon` aborts, continue in
   * the background.
   */
  stop(abandon?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stopAll(abandon).catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }

  async #startAll(): Promise<readonly HealthyService[]> {
    const outcomes = await Promise.allSettled(this.#options.definitions.map((definition) => this.#startOne(definition)))
    if (outcomes.every(({ status }) => status === 'fulfilled')) {
      return this.#listReady()
    }
    await this.#removeAll().catch((error: unknown) => {
      this.#options.report({ type: 'stop-failed', message: messageOf(error) })
    })
    // The first service that fails aborts the others with its own error as the reason.
    throw this.#abort.signal.reason
  }

  #listReady(): readonly HealthyService[] {
    return this.#options.definitions.flatMap(({ service }) => this.#services.get(service.name) ?? [])
  }

  async #startOne(definition: ServiceDefinition): Promise<void> {
    const { provider, report, clock } = this.#options
    const { signal } = this.#abort
    try {
      const beganMs = clock.now()
      const onWaiting = () => this.#onWaiting()
      const started = await provider.start(definition, { report, signal, onWaiting })
      this.#started.push(started)
      await this.#makeReady(definition, started, beganMs).catch(async (error: unknown) => {
        signal.throwIfAborted()
        const reason = await this.#reasonOf(definition, started, error)
        await this.#startOne(await this.#replacementFor(definition, started, reason))
      })
    } catch (error) {
      this.#abort.abort(error)
      throw error
    }
  }

  #onWaiting(): void {
    this.#waiting += 1
    if (this.#waiting === this.#options.definitions.length) {
      this.#options.onWaiting?.()
    }
  }

  async #makeReady(definition: ServiceDefinition, started: StartedService, beganMs: number): Promise<void> {
    const { report, clock, startupTimeoutMs } = this.#options
    const { address, snapshot } = started
    const { name } = definition.service
    const windowMs = Math.min(startupTimeoutMs, TIMEOUTS_MS[snapshot.kind])
    const admission = await awaitHealthy({ definition, started, windowMs, clock, signal: this.#abort.signal })
    const service: HealthyService = Object.assign(started, { name, ...admission })
    const { version } = service
    const elapsedMs = clock.now() - beganMs
    const origin = this.#restarts.has(name) ? 'restart' : ORIGINS[snapshot.kind]
    const reportHealthy = () =>
      report({ type: 'service-healthy', service: name, version, ...address, elapsedMs, origin })
    if (origin !== 'restart') {
      reportHealthy()
    }
    this.#inPreparation.add(started)
    await definition.prepare?.(service)
    this.#inPreparation.delete(started)
    this.#ready.add(started)
    const healthyMs = beganMs + elapsedMs
    this.#services.set(name, service)
    if (origin === 'restart') {
      // A restarted service is reported once tests can use it.
      reportHealthy()
    }
    void started.exited?.then((exit) => this.#lose(definition, started, { exit, afterMs: clock.now() - healthyMs }))
  }

  #lose(definition: ServiceDefinition, started: StartedService, known: Pick<Loss, 'exit' | 'afterMs'>): void {
    if (!this.#ready.delete(started) || this.#abort.signal.aborted) {
      return
    }
    const { name } = definition.service
    const count = (this.#restarts.get(name) ?? 0) + 1
    const isRestarted = this.#options.restarted.includes(name) && count <= RESTARTS
    const lost = describeLoss(started, { ...known, name, isRestarted })
    if (isRestarted) {
      this.#restarts.set(name, count)
      this.#starting = this.#restart(definition, started, lost)
      // The handler of the loss reports a failure.
      this.#starting.catch(() => {})
    }
    this.#losses.push({ lost, restarted: isRestarted ? this.#starting : undefined } satisfies StackLoss)
  }

  async #restart(
    definition: ServiceDefinition,
    started: StartedService,
    lost: Promise<LostService>,
  ): Promise<readonly HealthyService[]> {
    // Waits for other restarts, and until the log of the old server has been read.
    await Promise.all([this.#starting, lost])
    await this.#discard(started)
    await this.#startOne(definition)
    return this.#listReady()
  }

  /** Removes a server that another one is going to replace. */
  async #discard(started: StartedService): Promise<void> {
    const failure = await removeOne(started)
    if (failure) {
      throw stopFailed(this.#options.provider.name, [failure], 'make room for a new server')
    }
    this.#forget(started)
  }

  #forget(started: StartedService): void {
    const index = this.#started.indexOf(started)
    if (index >= 0) {
      this.#started.splice(index, 1)
    }
  }

  /**
   * Returns the error of the server's exit if it exited, because that explains the failure of any step; otherwise the
   * given error.
   */
  async #reasonOf(definition: ServiceDefinition, started: StartedService, error: unknown): Promise<unknown> {
    if (error instanceof InfraError && error.code === 'INFRA_SERVICE_EXITED') {
      return error
    }
    const over = new AbortController()
    const timeout = this.#options.clock.sleep(EXIT_TIMEOUT_MS, AbortSignal.any([over.signal, this.#abort.signal]))
    const exit = await Promise.race([started.exited, timeout]).finally(() => over.abort())
    return exit ? describeLostStart(started, { name: definition.service.name, exit, cause: error }) : error
  }

  /**
   * Discards a restored or attached server that failed and returns the definition to start instead. Rethrows for a new
   * server.
   */
  async #replacementFor(
    definition: ServiceDefinition,
    started: StartedService,
    error: unknown,
  ): Promise<ServiceDefinition> {
    const { report } = this.#options
    const { snapshot } = started
    if (snapshot.kind !== 'restored' && snapshot.kind !== 'attached') {
      throw error
    }
    if (await this.#isUsersFault(definition, started, error)) {
      // The preparation would fail on any server, so this one may stay up.
      this.#inPreparation.delete(started)
      throw error
    }
    await this.#discard(started)
    const failure = { service: definition.service.name, reason: messageOf(error).split('\n')[0] ?? '' }
    if (snapshot.kind === 'attached') {
      report({ type: 'service-replaced', ...failure })
      return definition
    }
    await snapshot.discard()
    report({ type: 'snapshot-discarded', ...failure })
    return { ...definition, snapshot: undefined }
  }

  /** Whether the user's files or functions caused the failure: the error indicates it, and the server still answers. */
  async #isUsersFault(definition: ServiceDefinition, { address }: StartedService, error: unknown): Promise<boolean> {
    if (!isUsersFault(error)) {
      return false
    }
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#abort.signal])
    const answer = definition.probe(address, signal).then(() => true)
    const limit = this.#options.clock.sleep(ATTACHED_TIMEOUT_MS, signal).then(() => false)
    return Promise.race([answer, limit])
      .catch(() => false)
      .finally(() => over.abort())
  }

  async #stopAll(abandon?: AbortSignal): Promise<void> {
    this.#abort.abort(startAborted())
    // Servers are removed at once, so that a migration in progress ends with its server. Services that started
    // meanwhile are removed afterwards.
    const [removed] = await Promise.allSettled([this.#removeAll(abandon), this.#starting])
    if (removed.status === 'rejected') {
      throw removed.reason
    }
    await this.#removeAll(abandon)
  }

  /**
   * Removes or detaches all servers. Rejects if a removal fails before the stop timeout. Later failures are reported,
   * if this process is still running.
   */
  async #removeAll(abandon?: AbortSignal): Promise<void> {
    const services = this.#started.splice(0)
    if (services.length === 0) {
      return
    }
    const reusable = services.filter((service) => this.#isReusable(service))
    await Promise.all(reusable.map(async ({ reuse }) => reuse?.detach()))
    const removed = services.filter((service) => !reusable.includes(service))
    await this.#withStopTimeout((overdue) => this.#remove(removed, overdue), abandon)
  }

  /** Whether a server can be reused: it is attached or fully prepared. An interrupted preparation makes it useless. */
  #isReusable(service: StartedService): boolean {
    const isPrepared = this.#ready.has(service)
    const isUntouched = service.snapshot.kind === 'attached' && !this.#inPreparation.has(service)
    return service.reuse !== undefined && (isPrepared || isUntouched)
  }

  async #remove(services: readonly StartedService[], abandon: AbortSignal): Promise<void> {
    const results = await Promise.all(services.map((service) => removeOne(service, abandon)))
    const failures = results.filter((result) => result !== undefined)
    if (failures.length > 0) {
      this.#started.push(...failures.map(({ service }) => service))
      throw stopFailed(this.#options.provider.name, failures)
    }
  }

  /**
   * Runs `remove` and waits for it until the timeout or `abandon`. Then it aborts the signal of `remove`, which continues
   * in the background.
   */
  async #withStopTimeout(remove: (overdue: AbortSignal) => Promise<void>, abandon?: AbortSignal): Promise<void> {
    const { definitions, clock, report } = this.#options
    const isPinned = definitions.some(({ hostPort }) => hostPort !== undefined)
    const settled = new AbortController()
    const signal = abandon ? AbortSignal.any([settled.signal, abandon]) : settled.signal
    const timeout = clock.sleep(isPinned ? PINNED_STOP_TIMEOUT_MS : STOP_TIMEOUT_MS, signal).catch(() => {})
    const overdue = new AbortController()
    let isRemoved = false
    const removed = remove(overdue.signal).finally(() => (isRemoved = true))
    await Promise.race([removed, timeout]).finally(() => settled.abort())
    if (!isRemoved) {
      overdue.abort()
      removed.catch((error: unknown) => report({ type: 'stop-failed', message: messageOf(error) }))
    }
  }
}

async function removeOne(
  service: StartedService,
  abandon?: AbortSignal,
): Promise<{ service: StartedService; reason: unknown } | undefined> {
  try {
    await service.stop(abandon)
  } catch (reason) {
    return { service, reason }
  }
}

/** The abort reason for services that are still starting when a run ends. */
export function startAborted(): InfraError {
  return new InfraError('INFRA_START_ABORTED', {
    problem: 'Cannot start the stack: the run ended while its services were starting',
    remedy: 'Start the run again',
  })
}

function stopFailed(
  provider: ProviderName,
  failures: readonly { readonly service: StartedService; readonly reason: unknown }[],
  aim = 'stop the stack',
): InfraError {
  const labels = failures.map(({ service }) => service.label)
  const lines = failures.map(({ service, reason }) => `${service.label}: ${messageOf(reason)}`)
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot ${aim}: ${lines.join('; ')}`,
    remedy:
      provider === 'docker'
        ? `Remove what is left with: docker rm -fv ${labels.join(' ')}`
        : `End what is left: ${labels.join(', ')}`,
    cause: new AggregateError(failures.map(({ reason }) => reason)),
  })
}

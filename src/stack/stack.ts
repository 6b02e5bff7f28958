import { Readable } from 'node:stream'
import type { ProviderName } from '../environment/infra-facts.ts'
import { InfraError, messageOf } from '../errors.ts'
import { awaitHealthy } from '../health/gate.ts'
import type { ServiceState } from '../config/service-state.ts'
import type { Clock } from '../internal/clock.ts'
import type { Provider, StartedService } from '../providers/provider.ts'
import type { Report } from '../report/events.ts'
import type { Address, ServiceDefinition } from '../services/service.ts'
import { isUsersFault } from './users-fault.ts'
import { describeLoss, describeLostStart, type Loss, type LostService } from './service-lost.ts'

/** After this, servers are stopped in the background. It is long enough for an engine to refuse the stop. */
const STOP_PATIENCE_MS = 30
/** With a port of its own choice, the next run wants the same one. */
const PINNED_PATIENCE_MS = 5_000
/** A server that has only to start is up in a second; one that is not is sooner made anew. */
const RESTORED_WINDOW_MS = 20_000
/** One that is up already answers at once. */
const ATTACHED_WINDOW_MS = 3_000
const WINDOWS_MS = { none: Infinity, missing: Infinity, restored: RESTORED_WINDOW_MS, attached: ATTACHED_WINDOW_MS }
/** A connection breaks before the engine reports that its server has exited. */
const ENDING_PATIENCE_MS = 500
/** A server that ends time after time has a reason that no start removes. */
const RESTARTS = 3
const ORIGINS = { none: 'new', missing: 'new', restored: 'snapshot', attached: 'earlier run' } as const

export interface StackOptions {
  readonly provider: Provider
  readonly definitions: readonly ServiceDefinition[]
  readonly startupTimeoutMs: number
  /** The services that are started anew if they end. */
  readonly restarted: readonly string[]
  readonly report: Report
  readonly clock: Clock
  /** Called when all starts have nothing to do but to wait. */
  readonly onWaiting?: () => void
}

/** A service of a stack that passed the health gate and was prepared. */
export interface ReadyService {
  readonly name: string
  readonly address: Address
  readonly version: string
  readonly state: ServiceState
  /** The container that it runs in, if it does. */
  readonly container: string | undefined
}

/** A service that was ready, and whose server has ended by itself. */
export interface StackLoss {
  readonly told: Promise<LostService>
  /** All services, once it is ready again; none: it stays away. */
  readonly back: Promise<readonly ReadyService[]> | undefined
}

/** The services of one run: started side by side, ended together. */
export class Stack {
  readonly #options: StackOptions
  readonly #abort = new AbortController()
  readonly #started: StartedService[] = []
  /** Those that are being prepared, and nothing but their end could end that. */
  readonly #inPreparation = new Set<StartedService>()
  readonly #ready = new Set<StartedService>()
  /** By name. */
  readonly #services = new Map<string, ReadyService>()
  readonly #restarts = new Map<string, number>()
  readonly #losses = new Readable({ objectMode: true, read() {} })
  #waiting = 0
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

  /** What is lost, as it happens. */
  get losses(): AsyncIterable<StackLoss> {
    return this.#losses
  }

  /** Whether it is ready, and will be there for the next run. */
  get livesOn(): boolean {
    return this.idleTimeoutMs !== undefined
  }

  /** For how long it will be there without a run, if it will be there for the next one. */
  get idleTimeoutMs(): number | undefined {
    const timeouts = [...this.#ready].flatMap(({ keeping }) => keeping?.idleTimeoutMs ?? [])
    return timeouts.length > 0 ? Math.min(...timeouts) : undefined
  }

  /** The services that are not ready yet. */
  get missing(): readonly string[] {
    return this.#options.definitions.map(({ service }) => service.name).filter((name) => !this.#services.has(name))
  }

  /**
   * Ends a start in flight and removes every service, but those that stay for the next run; tries all of them before it
   * reports a failure. What is not removed soon, or by the time that `letGo` aborts, is left to the engine.
   */
  stop(letGo?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stopAll(letGo).catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    return this.#stopping
  }

  async #startAll(): Promise<readonly ReadyService[]> {
    const outcomes = await Promise.allSettled(this.#options.definitions.map((definition) => this.#startOne(definition)))
    if (outcomes.every(({ status }) => status === 'fulfilled')) {
      return this.#listReady()
    }
    await this.#removeAll().catch((error: unknown) => {
      this.#options.report({ type: 'stop-failed', message: messageOf(error) })
    })
    // The first to fail aborts the others with its own error as the reason.
    throw this.#abort.signal.reason
  }

  #listReady(): readonly ReadyService[] {
    return this.#options.definitions.flatMap(({ service }) => this.#services.get(service.name) ?? [])
  }

  async #startOne(definition: ServiceDefinition): Promise<void> {
    const { provider, report, clock, startupTimeoutMs } = this.#options
    const { signal } = this.#abort
    try {
      const beganMs = clock.now()
      const onWaiting = () => this.#onWaiting()
      const started = await provider.start(definition, { report, signal, startupTimeoutMs, onWaiting })
      this.#started.push(started)
      await this.#makeReady(definition, started, beganMs).catch(async (error: unknown) => {
        signal.throwIfAborted()
        const reason = await this.#reasonOf(definition, started, error)
        await this.#startOne(await this.#makeWay(definition, started, reason))
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
    const { provider, report, clock, startupTimeoutMs } = this.#options
    const { address, instances, snapshot } = started
    const { name } = definition.service
    const windowMs = Math.min(startupTimeoutMs, WINDOWS_MS[snapshot.kind])
    const admission = await awaitHealthy({ definition, started, windowMs, clock, signal: this.#abort.signal })
    const { version } = admission
    const elapsedMs = clock.now() - beganMs
    const container = provider.name === 'docker' ? started.label : undefined
    const origin = this.#restarts.has(name) ? 'restart' : ORIGINS[snapshot.kind]
    const tell = () => report({ type: 'service-healthy', service: name, version, ...address, elapsedMs, origin })
    if (origin !== 'restart') {
      tell()
    }
    this.#inPreparation.add(started)
    await definition.prepare?.({
      address,
      version,
      instances,
      snapshot,
      freeBytes: () => started.freeBytes(),
      takeBase: () => started.takeBase(),
      logTail: (count, sinceMs) => started.logTail(count, sinceMs),
      noteForNextRun: started.keeping?.note,
      container,
    })
    this.#inPreparation.delete(started)
    this.#ready.add(started)
    const healthyMs = beganMs + elapsedMs
    this.#services.set(name, { name, address, container, ...admission })
    if (origin === 'restart') {
      // The run waits for this one to be prepared, too.
      tell()
    }
    void started.ended?.then((ending) => this.#lose(definition, started, { ending, afterMs: clock.now() - healthyMs }))
  }

  #lose(definition: ServiceDefinition, started: StartedService, known: Pick<Loss, 'ending' | 'afterMs'>): void {
    if (!this.#ready.delete(started) || this.#abort.signal.aborted) {
      return
    }
    const { name } = definition.service
    const count = (this.#restarts.get(name) ?? 0) + 1
    const comesBack = this.#options.restarted.includes(name) && count <= RESTARTS
    const told = describeLoss(started, { ...known, name, comesBack })
    if (comesBack) {
      this.#restarts.set(name, count)
      this.#starting = this.#bringBack(definition, started, told)
      // The handler of the loss reports a failure.
      this.#starting.catch(() => {})
    }
    this.#losses.push({ told, back: comesBack ? this.#starting : undefined } satisfies StackLoss)
  }

  async #bringBack(
    definition: ServiceDefinition,
    started: StartedService,
    told: Promise<LostService>,
  ): Promise<readonly ReadyService[]> {
    // One after the other; and its log is read before it goes.
    await Promise.all([this.#starting, told])
    await this.#clear(started)
    await this.#startOne(definition)
    return this.#listReady()
  }

  /** Removes a server, in whose place another one is going to start. */
  async #clear(started: StartedService): Promise<void> {
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

  /** A step may fail because its server exited; then the exit is the error to report. */
  async #reasonOf(definition: ServiceDefinition, started: StartedService, error: unknown): Promise<unknown> {
    if (error instanceof InfraError && error.code === 'INFRA_SERVICE_EXITED') {
      return error
    }
    const over = new AbortController()
    const patience = this.#options.clock.sleep(ENDING_PATIENCE_MS, AbortSignal.any([over.signal, this.#abort.signal]))
    const ending = await Promise.race([started.ended, patience]).finally(() => over.abort())
    return ending ? describeLostStart(started, { name: definition.service.name, ending, cause: error }) : error
  }

  /** Removes a server that came from somewhere and failed, and returns what to start in its place; else throws. */
  async #makeWay(definition: ServiceDefinition, started: StartedService, error: unknown): Promise<ServiceDefinition> {
    const { report } = this.#options
    const { snapshot } = started
    if (snapshot.kind !== 'restored' && snapshot.kind !== 'attached') {
      throw error
    }
    if (await this.#isUsersFault(definition, started, error)) {
      // It would fail on any other server, too; this one is as good as it was.
      this.#inPreparation.delete(started)
      throw error
    }
    await this.#clear(started)
    const told = { service: definition.service.name, reason: messageOf(error).split('\n')[0] ?? '' }
    if (snapshot.kind === 'attached') {
      report({ type: 'service-replaced', ...told })
      return definition
    }
    await snapshot.discard()
    report({ type: 'snapshot-discarded', ...told })
    return { ...definition, snapshot: undefined }
  }

  /** A server that still answers is not to blame for what files and functions of the user's do. */
  async #isUsersFault(definition: ServiceDefinition, { address }: StartedService, error: unknown): Promise<boolean> {
    if (!isUsersFault(error)) {
      return false
    }
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#abort.signal])
    const answer = definition.probe(address, signal).then(() => true)
    const limit = this.#options.clock.sleep(ATTACHED_WINDOW_MS, signal).then(() => false)
    return Promise.race([answer, limit])
      .catch(() => false)
      .finally(() => over.abort())
  }

  async #stopAll(letGo?: AbortSignal): Promise<void> {
    this.#abort.abort(startAborted())
    // At once, since a migration that is running ends with its server; then what came up meanwhile.
    const [removed] = await Promise.allSettled([this.#removeAll(letGo), this.#starting])
    if (removed.status === 'rejected') {
      throw removed.reason
    }
    await this.#removeAll(letGo)
  }

  /** Throws what fails at once. Later failures are reported, if this process is still alive. */
  async #removeAll(letGo?: AbortSignal): Promise<void> {
    const services = this.#started.splice(0)
    if (services.length === 0) {
      return
    }
    const kept = services.filter((service) => this.#isKept(service))
    await Promise.all(kept.map(async ({ keeping }) => keeping?.leave()))
    const removed = services.filter((service) => !kept.includes(service))
    await this.#waitAWhile((over) => this.#remove(removed, over), letGo)
  }

  /** One that is new has to be whole. */
  #isKept(service: StartedService): boolean {
    const isWhole = this.#ready.has(service)
    const isUntouched = service.snapshot.kind === 'attached' && !this.#inPreparation.has(service)
    return service.keeping !== undefined && (isWhole || isUntouched)
  }

  async #remove(services: readonly StartedService[], letGo: AbortSignal): Promise<void> {
    const results = await Promise.all(services.map((service) => removeOne(service, letGo)))
    const failures = results.filter((result) => result !== undefined)
    if (failures.length > 0) {
      this.#started.push(...failures.map(({ service }) => service))
      throw stopFailed(this.#options.provider.name, failures)
    }
  }

  /** The signal that `remove` gets aborts when it is not awaited any more. */
  async #waitAWhile(remove: (over: AbortSignal) => Promise<void>, letGo?: AbortSignal): Promise<void> {
    const { definitions, clock, report } = this.#options
    const isPinned = definitions.some(({ hostPort }) => hostPort !== undefined)
    const settled = new AbortController()
    const patience = letGo ? AbortSignal.any([settled.signal, letGo]) : settled.signal
    const over = clock.sleep(isPinned ? PINNED_PATIENCE_MS : STOP_PATIENCE_MS, patience).catch(() => {})
    const overdue = new AbortController()
    let isRemoved = false
    const removed = remove(overdue.signal).finally(() => (isRemoved = true))
    await Promise.race([removed, over]).finally(() => settled.abort())
    if (!isRemoved) {
      overdue.abort()
      removed.catch((error: unknown) => report({ type: 'stop-failed', message: messageOf(error) }))
    }
  }
}

async function removeOne(
  service: StartedService,
  letGo?: AbortSignal,
): Promise<{ service: StartedService; reason: unknown } | undefined> {
  try {
    await service.stop(letGo)
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

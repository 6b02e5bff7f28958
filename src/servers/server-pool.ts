import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Address, ServerInstance } from '../services/service.ts'
import type { ReleaseInfo, ServerAction } from '../leasing/lease-source.ts'
import { ReusedItems } from '../leasing/reused-items.ts'
import type { LeaseProxy } from './lease-proxy.ts'
import { type Guard, OldClients } from './old-clients.ts'
import { addressOf, createSlot, type ServerSlot } from './server-slot.ts'

/**
 * Initial pause between two polls. Each poll opens a connection, which costs the main process and the engine's proxy
 * about 1 ms while several servers start in parallel, so the pause grows.
 */
const FIRST_POLL_MS = 3
const POLL_GROWTH = 1.25
const LONGEST_POLL_MS = 30

/**
 * Number of probes before a server counts as stopped. A busy server may miss one probe, but an exited one never
 * answers.
 */
const ATTEMPTS = 3

/** The servers of a pool, for any kind of service. */
export interface PooledServers {
  readonly instances: readonly ServerInstance[]
  /** Number of servers to keep ready. */
  readonly target: number
  readonly clock: Clock
  /** Timeout in milliseconds for a restarted server to answer. */
  readonly startupTimeoutMs: number
}

export interface ServerPoolOptions extends PooledServers {
  /** Whether the server at the address answers. */
  readonly answers: (address: Address) => Promise<boolean>
  /** Prepares a restarted server for a lease, for example with seeds. */
  readonly prepare: (address: Address, server: { readonly isLocked: boolean }) => Promise<void>
  /** Creates the error for a server that did not start. */
  readonly notStarted: (address: Address, error: unknown) => InfraError
  readonly guard?: Guard
}

/**
 * Leases servers, each to one user at a time. Between two leases, a server's process is replaced.
 *
 * A port to which clients of an earlier lease still connect is not leased again. If no other port is free, the lease
 * gets a proxy on a new port. No old client knows this port, and the server refuses clients at its own port.
 */
export class ServerPool {
  readonly #options: ServerPoolOptions
  readonly #idle: ServerSlot[]
  readonly #ready: ServerSlot[] = []
  readonly #reused = new ReusedItems<ServerSlot>((slot) => this.#isUsable(slot))
  /** Leased servers, by the port that their users see. */
  readonly #leased = new Map<number, ServerSlot>()
  readonly #proxies = new Set<LeaseProxy>()
  readonly #waiting: PromiseWithResolvers<ServerSlot>[] = []
  readonly #closing = new AbortController()
  readonly #oldClients: OldClients | undefined
  #starting = 0
  /** Number of calls of {@link discard}. A server whose start began before the last call is not leased. */
  #generation = 0

  constructor(options: ServerPoolOptions) {
    this.#options = options
    this.#idle = options.instances.map(createSlot)
    const { guard, clock } = options
    this.#oldClients =
      guard &&
      new OldClients({
        guard,
        clock,
        signal: this.#closing.signal,
        onQuiet: (slot) => {
          this.#retire(slot)
          this.fill()
        },
        onOccupied: () => this.fill(),
      })
  }

  async acquire({ reuse }: { readonly reuse: boolean }): Promise<Address> {
    const slot = await this.#reused.acquire(reuse, () => this.#acquireWithoutClients())
    const address = addressOf(slot)
    this.#leased.set(address.port, slot)
    return address
  }

  release({ port }: Address, info: ReleaseInfo): void {
    const slot = this.#leased.get(port)
    this.#leased.delete(port)
    if (slot) {
      slot.owner = info.owner
      slot.processes = info.processes ?? []
      if (!this.#reused.release(slot)) {
        if (this.#oldClients) {
          this.#oldClients.release(slot, info)
        } else {
          this.#retire(slot)
        }
      }
      this.fill()
    }
  }

  /** Restarts all unleased servers before their next lease. Leased servers are replaced when they are released. */
  discard(): void {
    this.#generation += 1
    for (const slot of [...this.#ready.splice(0), ...this.#reused.clear()]) {
      this.#retire(slot)
    }
    this.fill()
  }

  /**
   * Stops, pauses, restarts or resumes a leased server for a test. After a restart or resume, resolves when the server
   * answers again.
   */
  async control({ port }: Address, action: ServerAction): Promise<void> {
    const slot = this.#leased.get(port)
    if (!slot) {
      return
    }
    const { instance } = slot
    slot.isCut ||= action === 'stop' || action === 'restart'
    if (action === 'stop' || action === 'pause') {
      await instance.control(action)
      return
    }
    await instance.control(action === 'restart' ? 'stop' : 'resume')
    if (!(await this.#stillAnswers(instance.address))) {
      await instance.control('start')
    }
    await this.#awaitAnswer(instance.address)
  }

  /** Replaces the process of a leased server. */
  async replace({ port }: Address): Promise<void> {
    const slot = this.#leased.get(port)
    if (slot) {
      await this.#replace(slot)
      slot.isCut = true
    }
  }

  /** Resolves when all ended leases have been checked for clients that are still connected. */
  async settle(): Promise<void> {
    await this.#oldClients?.settle()
  }

  /** Stops starting servers and waiting for their start; their container is about to be removed. */
  close(): void {
    this.#closing.abort()
    this.#proxies.forEach((proxy) => proxy.end())
  }

  /** Assigns ready servers to waiting leases, and starts missing ones. */
  fill(): void {
    while (this.#waiting.length > 0 && this.#ready.length > 0) {
      this.#waiting.shift()?.resolve(this.#ready.shift() as ServerSlot)
    }
    if (this.#waiting.length > 0 && this.#idle.length === 0 && this.#starting === 0) {
      // A used server is restarted for a lease that needs a fresh one.
      const used = this.#reused.removeOldest()
      this.#idle.push(...(used ? [used] : []))
    }
    while (!this.#isClosed && this.#idle.length > 0 && this.#isShort(this.#options.target)) {
      void this.#start(this.#idle.shift() as ServerSlot)
    }
    // Servers with clients of earlier leases are used last, and one ready server is enough.
    while (!this.#isClosed && this.#isShort(1)) {
      const slot = this.#oldClients?.takeOccupied()
      if (!slot) {
        break
      }
      void this.#start(slot)
    }
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #isShort(ahead: number): boolean {
    return this.#ready.length + this.#starting < this.#waiting.length + ahead
  }

  /** Stops a server and everything that its last user started in it. */
  #retire(slot: ServerSlot): void {
    this.#idle.push(slot)
    // A failure is ignored here, as the next start of the server reports it.
    void slot.instance.end().catch(() => {})
  }

  /** Whether a server for reuse still answers. If its last user has stopped it, it is restarted for a later lease. */
  async #isUsable(slot: ServerSlot): Promise<boolean> {
    const isUsable = await this.#options.answers(slot.instance.address)
    if (!isUsable) {
      this.#idle.push(slot)
    }
    return isUsable
  }

  /** Acquires a server to which no client has connected since it was prepared. */
  async #acquireWithoutClients(): Promise<ServerSlot> {
    for (;;) {
      const slot = await this.#acquireFresh()
      if (!(await this.#oldClients?.refuse(slot))) {
        return slot
      }
    }
  }

  #acquireFresh(): Promise<ServerSlot> {
    const taken = Promise.withResolvers<ServerSlot>()
    this.#waiting.push(taken)
    this.fill()
    return taken.promise
  }

  async #start(slot: ServerSlot): Promise<void> {
    this.#starting += 1
    const generation = this.#generation
    let isWanted = true
    try {
      await this.#replace(slot)
      const free = generation === this.#generation ? this.#ready : this.#idle
      free.push(slot)
    } catch (error) {
      this.#idle.push(slot)
      this.#waiting.shift()?.reject(error)
      // Without a waiting lease, no further start is attempted, as a failing start would be retried forever.
      isWanted = this.#waiting.length > 0
    }
    this.#starting -= 1
    if (isWanted) {
      this.fill()
    }
  }

  async #replace(slot: ServerSlot): Promise<void> {
    const { prepare, notStarted, guard } = this.#options
    const { instance } = slot
    try {
      if (slot.hasOldClients && !slot.lock) {
        slot.lock = await guard?.lock(instance.address)
      }
      const { lock } = slot
      if (lock) {
        this.#proxies.add(lock.proxy)
      }
      await instance.restart(lock?.args)
      await this.#awaitAnswer(instance.address)
      slot.isCut = false
      await prepare(addressOf(slot), { isLocked: lock !== undefined })
      await guard?.resetCount(addressOf(slot))
    } catch (error) {
      // An InfraError already names the faulty seed.
      throw error instanceof InfraError ? error : notStarted(instance.address, error)
    }
  }

  async #stillAnswers(address: Address): Promise<boolean> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      if (await this.#options.answers(address)) {
        return true
      }
    }
    return false
  }

  async #awaitAnswer(address: Address): Promise<void> {
    const { clock, answers, startupTimeoutMs } = this.#options
    const deadlineMs = clock.now() + startupTimeoutMs
    for (let pauseMs = FIRST_POLL_MS; !(await answers(address)); pauseMs *= POLL_GROWTH) {
      if (this.#isClosed || clock.now() > deadlineMs) {
        throw new Error(this.#isClosed ? 'the run is ending' : `no answer within ${startupTimeoutMs} ms`)
      }
      await clock.sleep(Math.min(pauseMs, LONGEST_POLL_MS))
    }
  }
}

import type { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { isRunning } from '../internal/is-running.ts'
import type { Address, SiblingServer, Visitors } from '../services/service.ts'
import type { Door } from './door.ts'
import type { Parting } from './lease-broker.ts'
import type { ServerAction } from './lease-protocol.ts'
import { countLeft } from './left-clients.ts'

const POLL_MS = 3
/** A busy server may miss one question; one that has ended does not answer any. */
const QUESTIONS = 3

/** Longer than the clients of Redis and their queues wait before they connect again. */
const QUIET_MS = 30_000
const LOOK_MS = 250

/** What there is to lease, whatever kind of server it is. */
export interface PooledServers {
  readonly siblings: readonly SiblingServer[]
  /** How many to keep ready. */
  readonly target: number
  readonly clock: Clock
  /** Within how many milliseconds a server that is started anew must serve. */
  readonly startupTimeoutMs: number
}

/** Keeps those out of a server who come to its own port. */
export interface Lock {
  /** The one way in. */
  readonly door: Door
  /** Arguments that the server has to be started with. */
  readonly words: readonly string[]
}

/** For servers that accept any client: how to count their clients, and how to lock them. */
export interface Guard {
  /** Rejects when the server does not say. */
  readonly count: (address: Address) => Promise<Visitors>
  /** Has a server count anew. */
  readonly forget: (address: Address) => Promise<void>
  /** For a server that is going to be started there. */
  readonly lock: (address: Address) => Promise<Lock>
  /** Told once of each lease whose clients come to its server when it is over. */
  readonly onVisited: (owner: string) => void
}

export interface ServerPoolOptions extends PooledServers {
  /** Whether the server there serves. */
  readonly answers: (address: Address) => Promise<boolean>
  /** Makes a server that has just been started anew what a lease begins with. */
  readonly prepare: (address: Address, server: { readonly isLocked: boolean }) => Promise<void>
  /** For a server that did not start. */
  readonly notStarted: (address: Address, error: unknown) => InfraError
  readonly guard?: Guard
}

/** A server, and what is known of those who know its port. */
interface Place {
  readonly sibling: SiblingServer
  /** Who had it last. */
  owner: string | undefined
  /** Processes that its last user has left running, which may connect later. */
  processes: readonly number[]
  /** Whether its server was stopped, or closed connections, while it was leased: clients try to connect again. */
  isCut: boolean
  /** Whether clients of an earlier lease come to its port, or may yet. */
  isVisited: boolean
  /** While clients of an earlier lease are kept out. */
  lock: Lock | undefined
}

/**
 * Servers, each for one lease at a time: between two leases its process is replaced.
 *
 * A port that clients of an earlier lease still come to is not given to anybody. Its server runs on, so that they stay
 * where they are and are seen, until nobody has come for a while. When no other port is left, a lease is given a port of
 * this process instead, which nobody can know, and the server behind it refuses those who come to its own.
 */
export class ServerPool {
  readonly #options: ServerPoolOptions
  readonly #idle: Place[]
  readonly #ready: Place[] = []
  /** Given back as they were left, for whoever takes used ones. */
  readonly #used: Place[] = []
  /** In somebody's hands, by the port that these know. */
  readonly #held = new Map<number, Place>()
  /** Those in somebody's hands that are to be kept so. */
  readonly #toKeep = new Set<Place>()
  /** Released servers that are polled until no client connects any more. */
  readonly #watched = new Set<Place>()
  readonly #doors = new Set<Door>()
  readonly #waiting: PromiseWithResolvers<Place>[] = []
  readonly #closing = new AbortController()
  readonly #settling = new Set<Promise<void>>()
  #starting = 0
  /** What was started in an earlier one is not given out. */
  #generation = 0

  constructor(options: ServerPoolOptions) {
    this.#options = options
    this.#idle = options.siblings.map((sibling) => ({
      sibling,
      owner: undefined,
      processes: [],
      isCut: false,
      isVisited: false,
      lock: undefined,
    }))
  }

  async take({ reuse }: { readonly reuse: boolean }): Promise<Address> {
    const place = (reuse ? await this.#takeUsed() : undefined) ?? (await this.#takeUnvisited())
    if (reuse) {
      this.#toKeep.add(place)
    }
    const address = addressOf(place)
    this.#held.set(address.port, place)
    return address
  }

  give({ port }: Address, parting: Parting): void {
    const place = this.#held.get(port)
    this.#held.delete(port)
    if (place) {
      place.owner = parting.owner
      place.processes = parting.processes ?? []
      if (this.#toKeep.delete(place)) {
        this.#used.push(place)
      } else {
        this.#takeBack(place, parting)
      }
      this.fill()
    }
  }

  /** Whatever nobody holds is started anew before it is given out, and whatever somebody holds is not kept. */
  discard(): void {
    this.#generation += 1
    this.#toKeep.clear()
    for (const place of [...this.#ready.splice(0), ...this.#used.splice(0)]) {
      this.#retire(place)
    }
    this.fill()
  }

  /** Does to the server of a lease what a test asks for; where it is to serve afterwards, resolves when it does. */
  async control({ port }: Address, action: ServerAction): Promise<void> {
    const place = this.#held.get(port)
    if (!place) {
      return
    }
    const { sibling } = place
    place.isCut ||= action === 'stop' || action === 'restart'
    if (action === 'stop' || action === 'pause') {
      await sibling.control(action)
      return
    }
    await sibling.control(action === 'restart' ? 'stop' : 'resume')
    if (!(await this.#stillAnswers(sibling.address))) {
      await sibling.control('start')
    }
    await this.#awaitAnswer(sibling.address)
  }

  /** Replaces the process of a server that somebody holds. */
  async renew({ port }: Address): Promise<void> {
    const place = this.#held.get(port)
    if (place) {
      await this.#renew(place)
      place.isCut = true
    }
  }

  /** Resolves when it is known of all that were given back who left clients behind. */
  async settle(): Promise<void> {
    await Promise.all(this.#settling)
  }

  /** Starts no more, and waits no more for those that are starting: their container is about to go. */
  close(): void {
    this.#closing.abort()
    this.#doors.forEach((door) => door.end())
  }

  /** Hands ready servers to those who wait, and starts as many as are missing. */
  fill(): void {
    while (this.#waiting.length > 0 && this.#ready.length > 0) {
      this.#waiting.shift()?.resolve(this.#ready.shift() as Place)
    }
    if (this.#waiting.length > 0 && this.#idle.length === 0 && this.#starting === 0) {
      // Better a new one for who waits than an old one for nobody.
      this.#idle.push(...this.#used.splice(0, 1))
    }
    while (!this.#isClosed && this.#idle.length > 0 && this.#areMissing(this.#options.target)) {
      void this.#start(this.#idle.shift() as Place)
    }
    // Those that are visited come last, and one ahead is enough.
    for (const place of this.#watched) {
      if (!this.#isClosed && place.isVisited && this.#areMissing(1)) {
        this.#watched.delete(place)
        void this.#start(place)
      }
    }
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #areMissing(ahead: number): boolean {
    return this.#ready.length + this.#starting < this.#waiting.length + ahead
  }

  /** What its last user has started there ends with it, and its memory is free. */
  #retire(place: Place): void {
    this.#idle.push(place)
    // One that could not be ended is told of when it is started anew.
    void place.sibling.end().catch(() => {})
  }

  #takeBack(place: Place, parting: Parting): void {
    if (!this.#options.guard) {
      this.#retire(place)
      return
    }
    const settling: Promise<void> = this.#settleIn(place, parting).finally(() => this.#settling.delete(settling))
    this.#settling.add(settling)
  }

  /** Retires a released server if it has no clients left; otherwise starts to poll it. */
  async #settleIn(place: Place, parting: Parting): Promise<void> {
    const { clock } = this.#options
    // Processes that its user has started may end with it.
    await countLeft({ count: async () => countRunning(place.processes), clock }, parting)
    const connected = await countLeft({ count: () => this.#connectedTo(place), clock }, parting)
    if (connected) {
      this.#tellVisited(place)
    }
    const { lock } = place
    place.lock = undefined
    lock?.door.close()
    // Without their process, only clients that are connected can come back.
    const isOver = parting.isUserGone ? !connected : connected === 0 && !place.isCut
    if (!lock && isOver && countRunning(place.processes) === 0) {
      this.#retire(place)
    } else {
      // A client that finds no server, or a locked one, would retry; one that is connected can be counted.
      await (connected === undefined || lock ? place.sibling.restart().catch(() => {}) : undefined)
      this.#beginWatch(place)
    }
    this.fill()
  }

  /** Undefined where that cannot be known, since the server was ended or locked. */
  async #connectedTo(place: Place): Promise<number | undefined> {
    const { sibling, lock } = place
    if (lock) {
      return lock.door.clients
    }
    const visitors = await this.#options.guard?.count(sibling.address).catch(() => undefined)
    place.isCut ||= visitors !== undefined && visitors.kills > 0
    return visitors?.connected
  }

  #beginWatch(place: Place): void {
    place.isVisited = true
    this.#watched.add(place)
    void this.#watch(place)
  }

  /** Polls a server until no client has connected for QUIET_MS, or until it is started again behind a door. */
  async #watch(place: Place): Promise<void> {
    const { clock, guard } = this.#options
    const { address } = place.sibling
    let seenMs = clock.now()
    while (!this.#isClosed && this.#watched.has(place)) {
      const visitors = await guard?.count(address).catch(() => undefined)
      await guard?.forget(address).catch(() => {})
      const isVisited = visitors === undefined || visitors.connected > 0 || visitors.received > 0
      if (visitors?.connected) {
        this.#tellVisited(place)
      }
      if (isVisited || countRunning(place.processes) > 0) {
        seenMs = clock.now()
      } else if (clock.now() - seenMs > QUIET_MS && this.#watched.delete(place)) {
        place.isVisited = false
        this.#retire(place)
        this.fill()
        return
      }
      await clock.sleep(LOOK_MS, this.#closing.signal).catch(() => {})
    }
  }

  #tellVisited(place: Place): void {
    if (place.owner !== undefined) {
      this.#options.guard?.onVisited(place.owner)
      place.owner = undefined
    }
  }

  /** Unless its last user has ended it. */
  async #takeUsed(): Promise<Place | undefined> {
    const place = this.#used.pop()
    if (place && !(await this.#options.answers(place.sibling.address))) {
      this.#idle.push(place)
      return undefined
    }
    return place
  }

  /** Takes a server that no client has connected to since it was prepared. */
  async #takeUnvisited(): Promise<Place> {
    for (;;) {
      const place = await this.#takeFresh()
      if (place.lock || !(await this.#wasVisited(place))) {
        return place
      }
      this.#tellVisited(place)
      this.#beginWatch(place)
      this.fill()
    }
  }

  async #wasVisited(place: Place): Promise<boolean> {
    const { guard, clock } = this.#options
    const visitors = await guard?.count(place.sibling.address).catch(() => undefined)
    if (visitors === undefined || visitors.received > 0) {
      return visitors !== undefined
    }
    // Who came before the server counted is still there; our own connections are about to go.
    const count = async () => (await this.#connectedTo(place)) ?? 0
    return visitors.connected > 0 && (await countLeft({ count, clock }, { isUserGone: false })) !== 0
  }

  #takeFresh(): Promise<Place> {
    const taken = Promise.withResolvers<Place>()
    this.#waiting.push(taken)
    this.fill()
    return taken.promise
  }

  async #start(place: Place): Promise<void> {
    this.#starting += 1
    const generation = this.#generation
    let isWanted = true
    try {
      await this.#renew(place)
      const free = generation === this.#generation ? this.#ready : this.#idle
      free.push(place)
    } catch (error) {
      this.#idle.push(place)
      this.#waiting.shift()?.reject(error)
      // Not tried again for nobody, time after time.
      isWanted = this.#waiting.length > 0
    }
    this.#starting -= 1
    if (isWanted) {
      this.fill()
    }
  }

  async #renew(place: Place): Promise<void> {
    const { prepare, notStarted, guard } = this.#options
    const { sibling } = place
    try {
      if (place.isVisited && !place.lock) {
        place.lock = await guard?.lock(sibling.address)
      }
      const { lock } = place
      if (lock) {
        this.#doors.add(lock.door)
      }
      await sibling.restart(lock?.words)
      await this.#awaitAnswer(sibling.address)
      place.isCut = false
      await prepare(addressOf(place), { isLocked: lock !== undefined })
      await guard?.forget(addressOf(place))
    } catch (error) {
      throw notStarted(sibling.address, error)
    }
  }

  async #stillAnswers(address: Address): Promise<boolean> {
    for (let question = 1; question <= QUESTIONS; question += 1) {
      if (await this.#options.answers(address)) {
        return true
      }
    }
    return false
  }

  async #awaitAnswer(address: Address): Promise<void> {
    const { clock, answers, startupTimeoutMs } = this.#options
    const deadlineMs = clock.now() + startupTimeoutMs
    while (!(await answers(address))) {
      if (this.#isClosed || clock.now() > deadlineMs) {
        throw new Error(this.#isClosed ? 'the run is ending' : `no answer within ${startupTimeoutMs} ms`)
      }
      await clock.sleep(POLL_MS)
    }
  }
}

function countRunning(processes: readonly number[]): number {
  return processes.filter(isRunning).length
}

/** The one that its next user is told. */
function addressOf({ sibling, lock }: Place): Address {
  return lock?.door.address ?? sibling.address
}

import type { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Address, SiblingServer } from '../services/service.ts'
import type { ServerAction } from './lease-protocol.ts'

const POLL_MS = 3
/** A busy server may miss one question; one that has ended does not answer any. */
const QUESTIONS = 3

/** What there is to lease, whatever kind of server it is. */
export interface PooledServers {
  readonly siblings: readonly SiblingServer[]
  /** How many to keep ready. */
  readonly target: number
  readonly clock: Clock
  /** Within how many milliseconds a server that is started anew must serve. */
  readonly startupTimeoutMs: number
}

export interface ServerPoolOptions extends PooledServers {
  /** Whether the server there serves. */
  readonly answers: (address: Address) => Promise<boolean>
  /** Makes a server that has just been started anew what a lease begins with. */
  readonly prepare: (sibling: SiblingServer) => Promise<void>
  /** For a server that did not start. */
  readonly notStarted: (address: Address, error: unknown) => InfraError
}

/** Servers, each for one lease at a time: between two leases its process is replaced. */
export class ServerPool {
  readonly #options: ServerPoolOptions
  readonly #byPort: ReadonlyMap<number, SiblingServer>
  readonly #idle: SiblingServer[]
  readonly #ready: SiblingServer[] = []
  /** Given back as they were left, for whoever takes used ones. */
  readonly #used: SiblingServer[] = []
  /** Ports of those in somebody's hands that are to be kept so. */
  readonly #toKeep = new Set<number>()
  readonly #waiting: PromiseWithResolvers<SiblingServer>[] = []
  #starting = 0
  /** What was started in an earlier one is not given out. */
  #generation = 0
  #closed = false

  constructor(options: ServerPoolOptions) {
    this.#options = options
    this.#byPort = new Map(options.siblings.map((sibling) => [sibling.address.port, sibling]))
    this.#idle = [...options.siblings]
  }

  async take({ reuse }: { readonly reuse: boolean }): Promise<Address> {
    const { address } = (reuse ? await this.#takeUsed() : undefined) ?? (await this.#takeFresh())
    if (reuse) {
      this.#toKeep.add(address.port)
    }
    return address
  }

  give({ port }: Address): void {
    const sibling = this.#byPort.get(port)
    if (sibling) {
      if (this.#toKeep.delete(port)) {
        this.#used.push(sibling)
      } else {
        this.#retire(sibling)
      }
      this.fill()
    }
  }

  /** Whatever nobody holds is started anew before it is given out, and whatever somebody holds is not kept. */
  discard(): void {
    this.#generation += 1
    this.#toKeep.clear()
    for (const sibling of [...this.#ready.splice(0), ...this.#used.splice(0)]) {
      this.#retire(sibling)
    }
    this.fill()
  }

  /** Does to the server of a lease what a test asks for; where it is to serve afterwards, resolves when it does. */
  async control({ port }: Address, action: ServerAction): Promise<void> {
    const sibling = this.#byPort.get(port)
    if (!sibling) {
      return
    }
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
    const sibling = this.#byPort.get(port)
    await (sibling && this.#renew(sibling))
  }

  /** Starts no more, and waits no more for those that are starting: their container is about to go. */
  close(): void {
    this.#closed = true
  }

  /** Hands ready servers to those who wait, and starts as many as are missing. */
  fill(): void {
    while (this.#waiting.length > 0 && this.#ready.length > 0) {
      this.#waiting.shift()?.resolve(this.#ready.shift() as SiblingServer)
    }
    if (this.#waiting.length > 0 && this.#idle.length === 0 && this.#starting === 0) {
      // Better a new one for who waits than an old one for nobody.
      this.#idle.push(...this.#used.splice(0, 1))
    }
    while (
      !this.#closed &&
      this.#idle.length > 0 &&
      this.#ready.length + this.#starting < this.#waiting.length + this.#options.target
    ) {
      void this.#start(this.#idle.shift() as SiblingServer)
    }
  }

  /** What its last user has started there ends with it, and its memory is free. */
  #retire(sibling: SiblingServer): void {
    this.#idle.push(sibling)
    // One that could not be ended is told of when it is started anew.
    void sibling.end().catch(() => {})
  }

  /** Unless its last user has ended it. */
  async #takeUsed(): Promise<SiblingServer | undefined> {
    const sibling = this.#used.pop()
    if (sibling && !(await this.#options.answers(sibling.address))) {
      this.#idle.push(sibling)
      return undefined
    }
    return sibling
  }

  #takeFresh(): Promise<SiblingServer> {
    const taken = Promise.withResolvers<SiblingServer>()
    this.#waiting.push(taken)
    this.fill()
    return taken.promise
  }

  async #start(sibling: SiblingServer): Promise<void> {
    this.#starting += 1
    const generation = this.#generation
    let isWanted = true
    try {
      await this.#renew(sibling)
      const free = generation === this.#generation ? this.#ready : this.#idle
      free.push(sibling)
    } catch (error) {
      this.#idle.push(sibling)
      this.#waiting.shift()?.reject(error)
      // Not tried again for nobody, time after time.
      isWanted = this.#waiting.length > 0
    }
    this.#starting -= 1
    if (isWanted) {
      this.fill()
    }
  }

  async #renew(sibling: SiblingServer): Promise<void> {
    const { prepare, notStarted } = this.#options
    try {
      await sibling.restart()
      await this.#awaitAnswer(sibling.address)
      await prepare(sibling)
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
      if (this.#closed || clock.now() > deadlineMs) {
        throw new Error(this.#closed ? 'the run is ending' : `no answer within ${startupTimeoutMs} ms`)
      }
      await clock.sleep(POLL_MS)
    }
  }
}

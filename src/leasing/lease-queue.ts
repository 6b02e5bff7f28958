import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseLimit } from './lease-limit.ts'
import type { LeasedService } from './lease-protocol.ts'

/** Shorter waits are part of an ordinary run. */
const TOLD_AFTER_MS = 2_000

/** A worker that waits for a lease, or has one. */
export interface Guest {
  /** The worker's connection. */
  readonly worker: number
  /** The file, or the file and the test; for people. */
  readonly owner: string
  /** What is given back when the test has ended, or only with its file. */
  readonly span: 'file' | 'test'
  /** The id of the test, if it is for one. */
  readonly test?: string | undefined
}

/** A wait that a person should know of. */
export interface LeaseWait {
  readonly service: LeasedService
  readonly owner: string
  /** How many are leased, which is all there are. */
  readonly count: number
  readonly reason: string
}

export interface LeaseQueueOptions {
  readonly service: LeasedService
  readonly limit: LeaseLimit
  readonly clock: Clock
  /** Called once for each long wait. */
  readonly onWaiting: (wait: LeaseWait) => void
  /** All queues that a test may have to wait in, this one among them: it adds itself. */
  readonly queues: LeaseQueue[]
}

interface Waiting {
  readonly guest: Guest
  readonly place: PromiseWithResolvers<void>
}

/** Limits how many leases of a service exist at once. Further requests wait, in order. */
export class LeaseQueue {
  readonly #options: LeaseQueueOptions
  readonly #guests = new Set<Guest>()
  #waiting: Waiting[] = []
  #shortage: AbortController | undefined

  constructor(options: LeaseQueueOptions) {
    this.#options = options
    options.queues.push(this)
  }

  /**
   * Resolves when there is a place for a lease.
   *
   * @throws InfraError `INFRA_LEASE_LIMIT` if every holder waits for another lease, so that none would ever be free
   */
  async enter(guest: Guest): Promise<void> {
    if (this.#guests.size < this.#options.limit.count) {
      this.#guests.add(guest)
      return
    }
    const place = Promise.withResolvers<void>()
    this.#waiting.push({ guest, place })
    if (this.#isStuck()) {
      // The newest request: its failure ends its test, which releases what the others wait for.
      this.#waiting.pop()
      throw this.#cannotEnd(guest)
    }
    this.#watch()
    return place.promise
  }

  /** Does nothing for a worker without a place. */
  leave(guest: Guest): void {
    if (!this.#guests.delete(guest)) {
      return
    }
    const next = this.#waiting.shift()
    if (next) {
      this.#guests.add(next.guest)
      next.place.resolve()
    }
    this.#endShortage()
  }

  /** Has nothing wait any more for a worker that is gone. */
  forget(worker: number): void {
    const gone = this.#waiting.filter(({ guest }) => guest.worker === worker)
    this.#waiting = this.#waiting.filter((waiting) => !gone.includes(waiting))
    gone.forEach(({ guest, place }) => place.reject(new Error(`The worker of ${guest.owner} has ended`)))
    this.#endShortage()
  }

  #endShortage(): void {
    if (this.#waiting.length === 0) {
      this.#shortage?.abort()
      this.#shortage = undefined
    }
  }

  /** A queue moves on as long as one holder waits nowhere, or only in queues that move on. */
  #isStuck(): boolean {
    for (let still: readonly LeaseQueue[] = this.#options.queues; ;) {
      const waiting = still.flatMap((queue) => queue.#waiting.map(({ guest }) => guest))
      const left = still.filter((queue) => [...queue.#guests].every((guest) => isHeldUp(guest, waiting)))
      if (left.length === still.length) {
        return left.includes(this)
      }
      still = left
    }
  }

  #watch(): void {
    if (this.#shortage) {
      return
    }
    this.#shortage = new AbortController()
    void this.#tellIfItLasts(this.#shortage.signal)
  }

  async #tellIfItLasts(signal: AbortSignal): Promise<void> {
    const { clock, onWaiting, service, limit } = this.#options
    await clock.sleep(TOLD_AFTER_MS, signal).catch(() => {})
    const [first] = this.#waiting
    if (!signal.aborted && first) {
      onWaiting({ service, owner: first.guest.owner, count: limit.count, reason: limit.reason })
    }
  }

  #cannotEnd({ owner }: Guest): InfraError {
    const { service, limit } = this.#options
    const owners = [...this.#guests].map((guest) => guest.owner).join(', ')
    return new InfraError('INFRA_LEASE_LIMIT', {
      problem:
        `Cannot lease from service "${service}" for ${owner}: there is room for ${limit.count} at once ` +
        `(${limit.reason}), and those who have them wait for more: ${owners}`,
      remedy: limit.remedy,
      service,
    })
  }
}

/** A file gives its place back when its tests are done, a test when it is: not while it waits for something else. */
function isHeldUp({ span, worker, test }: Guest, waiting: readonly Guest[]): boolean {
  return waiting.some(
    (other) => other.worker === worker && (span === 'file' || (test !== undefined && other.test === test)),
  )
}

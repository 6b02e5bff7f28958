import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseLimit } from './lease-limit.ts'
import type { LeasedService } from './lease-source.ts'

/** Shorter waits are part of an ordinary run. */
const REPORT_AFTER_MS = 2_000

/** The holder of a lease, or of a request for one. */
export interface Holder {
  /** Identifies the worker; aborts when its connection has closed. */
  readonly worker: AbortSignal
  /** The file, or the file and the test; for messages. */
  readonly owner: string
  /** Whether the lease lasts until the end of its file or of its test. */
  readonly span: 'file' | 'test'
  /** The id of the test, if the lease is for one. */
  readonly test?: string | undefined
}

/** A wait that is long enough to be reported. */
export interface LeaseWait {
  readonly service: LeasedService
  readonly owner: string
  /** The limit, which has been reached. */
  readonly count: number
  readonly reason: string
}

export interface LeaseQueueOptions {
  readonly service: LeasedService
  readonly limit: LeaseLimit
  readonly clock: Clock
  /** Called once for each long wait. */
  readonly onWaiting: (wait: LeaseWait) => void
  /** All queues in which a test may wait. This one adds itself. */
  readonly queues: LeaseQueue[]
}

interface Waiting {
  readonly holder: Holder
  readonly turn: PromiseWithResolvers<void>
}

/** Limits the number of leases of a service. Further requests wait, in order. */
export class LeaseQueue {
  readonly #options: LeaseQueueOptions
  readonly #holders = new Set<Holder>()
  #waiting: Waiting[] = []
  #shortage: AbortController | undefined

  constructor(options: LeaseQueueOptions) {
    this.#options = options
    options.queues.push(this)
  }

  /**
   * Resolves when the limit allows one more lease; rejects when the worker's connection closes.
   *
   * @throws InfraError `INFRA_LEASE_LIMIT` if every holder waits for another lease, so that no lease would ever end
   */
  async enter(holder: Holder): Promise<void> {
    const { worker } = holder
    worker.throwIfAborted()
    if (this.#holders.size < this.#options.limit.count) {
      this.#holders.add(holder)
      return
    }
    const turn = Promise.withResolvers<void>()
    this.#waiting.push({ holder, turn })
    if (this.#isStuck()) {
      // The newest request: its failure ends its test, which releases what the others wait for.
      this.#waiting.pop()
      throw this.#cannotEnd(holder)
    }
    this.#watch()
    const cancel = () => this.#cancelClosed()
    worker.addEventListener('abort', cancel, { once: true })
    await turn.promise.finally(() => worker.removeEventListener('abort', cancel))
  }

  /** Does nothing if the holder has no lease. */
  leave(holder: Holder): void {
    if (!this.#holders.delete(holder)) {
      return
    }
    this.#cancelClosed()
    const next = this.#waiting.shift()
    if (next) {
      this.#holders.add(next.holder)
      next.turn.resolve()
    }
    this.#endShortage()
  }

  #cancelClosed(): void {
    const closed = this.#waiting.filter(({ holder }) => holder.worker.aborted)
    this.#waiting = this.#waiting.filter((waiting) => !closed.includes(waiting))
    closed.forEach(({ holder, turn }) => turn.reject(holder.worker.reason))
    this.#endShortage()
  }

  #endShortage(): void {
    if (this.#waiting.length === 0) {
      this.#shortage?.abort()
      this.#shortage = undefined
    }
  }

  /** A queue is not stuck if one of its holders does not wait, or waits only in queues that are not stuck. */
  #isStuck(): boolean {
    for (let still: readonly LeaseQueue[] = this.#options.queues; ;) {
      const waiting = still.flatMap((queue) => queue.#waiting.map(({ holder }) => holder))
      const left = still.filter((queue) => [...queue.#holders].every((holder) => isHeldUp(holder, waiting)))
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
    void this.#reportIfItLasts(this.#shortage.signal)
  }

  async #reportIfItLasts(signal: AbortSignal): Promise<void> {
    const { clock, onWaiting, service, limit } = this.#options
    await clock.sleep(REPORT_AFTER_MS, signal).catch(() => {})
    const [first] = this.#waiting
    if (!signal.aborted && first) {
      onWaiting({ service, owner: first.holder.owner, count: limit.count, reason: limit.reason })
    }
  }

  #cannotEnd({ owner }: Holder): InfraError {
    const { service, limit } = this.#options
    const owners = [...this.#holders].map((holder) => holder.owner).join(', ')
    return new InfraError('INFRA_LEASE_LIMIT', {
      problem:
        `Cannot lease from service "${service}" for ${owner}: there is room for ${limit.count} at once ` +
        `(${limit.reason}), and those who have them wait for more: ${owners}`,
      remedy: limit.remedy,
      service,
    })
  }
}

/**
 * A lease of a file ends when all its tests have ended, and the lease of a test with that test. Neither ends while the file
 * or the test waits for another lease.
 */
function isHeldUp({ span, worker, test }: Holder, waiting: readonly Holder[]): boolean {
  return waiting.some(
    (other) => other.worker === worker && (span === 'file' || (test !== undefined && other.test === test)),
  )
}

import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseLimit } from './lease-limit.ts'
import type { LeasedService } from './lease-source.ts'

/** Waits are reported after this time. Shorter waits are normal. */
const REPORT_AFTER_MS = 2_000

/** A file or test that holds a lease or has requested one. */
export interface Holder {
  /** The signal of the worker's connection, which identifies the worker. It aborts when the connection has closed. */
  readonly worker: AbortSignal
  /** The name of the file, or of the file and the test, for messages. */
  readonly owner: string
  /** How long the lease lasts: until its file or its test ends. */
  readonly span: 'file' | 'test'
  /** The id of the test; undefined for the lease of a file. */
  readonly test?: string | undefined
}

/** A wait that is long enough to be reported. */
export interface LeaseWait {
  readonly service: LeasedService
  readonly owner: string
  /** The maximum number of concurrent leases, which has been reached. */
  readonly count: number
  readonly reason: string
}

export interface LeaseQueueOptions {
  readonly service: LeasedService
  readonly limit: LeaseLimit
  readonly clock: Clock
  /** Called once for each period in which requests wait for a long time. */
  readonly onWaiting: (wait: LeaseWait) => void
  /** All queues in which a test may wait. Each new queue adds itself. */
  readonly queues: LeaseQueue[]
}

interface Waiting {
  readonly holder: Holder
  readonly turn: PromiseWithResolvers<void>
}

/** Limits the number of concurrent leases of a service. Further requests wait in order. */
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
   * Waits for a lease. Resolves when the limit allows one more; rejects when the worker's connection closes.
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
      // Reject the newest request. Its test then fails and ends, which releases the leases that other requests wait
      // for.
      this.#waiting.pop()
      throw this.#cannotEnd(holder)
    }
    this.#watch()
    const cancel = () => this.#cancelClosed()
    worker.addEventListener('abort', cancel, { once: true })
    await turn.promise.finally(() => worker.removeEventListener('abort', cancel))
  }

  /** Releases the holder's lease and grants the next request. Does nothing if the holder has no lease. */
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

  /**
   * Whether no lease of this queue can end. A queue is not stuck if one of its holders does not wait, or waits only in
   * queues that are not stuck.
   */
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
 * Whether a holder's lease cannot end, because its file or test waits for another lease. The lease of a file ends when
 * all its tests have ended, and the lease of a test ends with that test.
 */
function isHeldUp({ span, worker, test }: Holder, waiting: readonly Holder[]): boolean {
  return waiting.some(
    (other) => other.worker === worker && (span === 'file' || (test !== undefined && other.test === test)),
  )
}

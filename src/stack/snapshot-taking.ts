import { messageOf } from '../errors.ts'
import { unlessAbandoned } from '../internal/abortable.ts'
import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'
import type { KeepSnapshot } from '../services/service.ts'

export interface SnapshotTakingOptions {
  readonly service: string
  readonly report: Report
  readonly clock: Clock
}

/** Takes a snapshot in the background while the tests run. */
export class SnapshotTaking {
  readonly #options: SnapshotTakingOptions
  readonly #abort = new AbortController()
  readonly #abandon = new AbortController()
  readonly #outcome: Promise<() => void>

  constructor(take: KeepSnapshot, options: SnapshotTakingOptions) {
    this.#options = options
    this.#outcome = this.#take(take)
  }

  /** Resolves when the snapshot was taken or has failed, after `limitMs` milliseconds, or once `abandon` aborts. */
  async settle(limitMs: number, abandon: AbortSignal): Promise<void> {
    const settled = new AbortController()
    const limit = this.#options.clock.sleep(limitMs, AbortSignal.any([settled.signal, abandon])).catch(() => {})
    await Promise.race([this.#outcome, limit])
    settled.abort()
  }

  /** Aborts the snapshot unless it is complete, waits for the cleanup until `abandon` aborts, and reports the outcome. */
  async end(abandon?: AbortSignal): Promise<void> {
    this.#abort.abort()
    const tell = await (abandon ? unlessAbandoned(this.#outcome, abandon) : this.#outcome)
    if (tell) {
      tell()
      return
    }
    this.#abandon.abort()
    const { report, service } = this.#options
    report({ type: 'snapshot-failed', service, reason: 'it was not ready when the run had to end' })
  }

  /** Takes the snapshot. Returns a function that reports the outcome, to be called after the tests. */
  async #take(take: KeepSnapshot): Promise<() => void> {
    const { service, report, clock } = this.#options
    const beganMs = clock.now()
    try {
      await take(this.#abort.signal, this.#abandon.signal)
      const elapsedMs = clock.now() - beganMs
      return () => report({ type: 'snapshot-taken', service, elapsedMs })
    } catch (error) {
      const { aborted } = this.#abort.signal
      return () => (aborted ? undefined : report({ type: 'snapshot-failed', service, reason: messageOf(error) }))
    }
  }
}

import { messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { Report } from '../report/events.ts'

export interface SnapshotTakingOptions {
  readonly service: string
  readonly report: Report
  readonly clock: Clock
}

/** A snapshot that is taken behind the tests. */
export class SnapshotTaking {
  readonly #options: SnapshotTakingOptions
  readonly #abort = new AbortController()
  readonly #outcome: Promise<() => void>

  constructor(take: (signal: AbortSignal) => Promise<void>, options: SnapshotTakingOptions) {
    this.#options = options
    this.#outcome = this.#take(take)
  }

  /** Resolves when it is taken or cannot be, or after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    const settled = new AbortController()
    const limit = this.#options.clock.sleep(limitMs, settled.signal).catch(() => {})
    await Promise.race([this.#outcome, limit])
    settled.abort()
  }

  /** Gives it up unless it is taken, waits until nothing of it is left, and tells what became of it. */
  async end(): Promise<void> {
    this.#abort.abort()
    const tell = await this.#outcome
    tell()
  }

  /** What became of it is told at the end, when the tests have said what they had to say. */
  async #take(take: (signal: AbortSignal) => Promise<void>): Promise<() => void> {
    const { service, report, clock } = this.#options
    const beganMs = clock.now()
    try {
      await take(this.#abort.signal)
      const elapsedMs = clock.now() - beganMs
      return () => report({ type: 'snapshot-taken', service, elapsedMs })
    } catch (error) {
      const { aborted } = this.#abort.signal
      return () => (aborted ? undefined : report({ type: 'snapshot-failed', service, reason: messageOf(error) }))
    }
  }
}

import type { Clock } from '../internal/clock.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'

/** A worker that exits closes its connections within milliseconds. A worker that lives on may keep them open. */
const RETRY_MS = 500

export interface DatabaseDropperOptions {
  readonly admin: Pick<PostgresAdmin, 'dropDatabase'>
  readonly clock: Clock
}

/**
 * Drops released databases in the background, one after the other. A database that still has connections is dropped
 * later: dropping it by force would end idle clients of a worker that outlives its file, an uncaught error 57P01 there.
 */
export class DatabaseDropper {
  readonly #options: DatabaseDropperOptions
  readonly #queue: string[] = []
  readonly #inUse = new Set<string>()
  readonly #closing = new AbortController()
  #dropping: Promise<void> | undefined
  #isRetryDue = false

  constructor(options: DatabaseDropperOptions) {
    this.#options = options
  }

  drop(name: string): void {
    this.#queue.push(name)
    this.#dropping ??= this.#dropQueue()
  }

  /** Drops all remaining databases by force. Call it once the workers have exited, as it ends open sessions. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#dropping
    const names = [...this.#queue.splice(0), ...this.#inUse]
    this.#inUse.clear()
    const outcomes = await Promise.allSettled(
      names.map((name) => this.#options.admin.dropDatabase(name, { force: true })),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason
      }
    }
  }

  async #dropQueue(): Promise<void> {
    for (let name = this.#queue.shift(); name !== undefined; name = this.#queue.shift()) {
      await this.#dropUnlessUsed(name)
    }
    this.#dropping = undefined
  }

  async #dropUnlessUsed(name: string): Promise<void> {
    try {
      if (!(await this.#options.admin.dropDatabase(name, { force: false }))) {
        this.#inUse.add(name)
        void this.#retry()
      }
    } catch {
      // The server may have stopped, and its databases with it. close() reports any other failure.
      this.#inUse.add(name)
    }
  }

  async #retry(): Promise<void> {
    if (this.#isRetryDue) {
      return
    }
    this.#isRetryDue = true
    await this.#options.clock.sleep(RETRY_MS, this.#closing.signal).catch(() => {})
    this.#isRetryDue = false
    if (!this.#closing.signal.aborted) {
      const names = [...this.#inUse]
      this.#inUse.clear()
      names.forEach((name) => this.drop(name))
    }
  }
}

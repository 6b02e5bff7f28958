import type { Clock } from '../internal/clock.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'

/** A worker's connections are gone some milliseconds after the worker; those of one that lives on stay. */
const RETRY_MS = 500

export interface DatabaseDropperOptions {
  readonly admin: Pick<PostgresAdmin, 'dropDatabase'>
  readonly clock: Clock
}

/**
 * Drops released databases in the background, one after the other. One that still has connections is kept for
 * later: forcing it would break the idle clients of a worker that outlives its file (an uncaught 57P01 in it).
 */
export class DatabaseDropper {
  readonly #options: DatabaseDropperOptions
  readonly #returned: string[] = []
  readonly #left = new Set<string>()
  readonly #closing = new AbortController()
  #dropping: Promise<void> | undefined
  #isRetryDue = false

  constructor(options: DatabaseDropperOptions) {
    this.#options = options
  }

  drop(name: string): void {
    this.#returned.push(name)
    this.#dropping ??= this.#dropReturned()
  }

  /** Drops what is left. Call it when the workers have exited: remaining sessions are ended. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#dropping
    const names = [...this.#returned.splice(0), ...this.#left]
    this.#left.clear()
    const outcomes = await Promise.allSettled(
      names.map((name) => this.#options.admin.dropDatabase(name, { force: true })),
    )
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason
      }
    }
  }

  async #dropReturned(): Promise<void> {
    for (let name = this.#returned.shift(); name !== undefined; name = this.#returned.shift()) {
      await this.#dropUnlessUsed(name)
    }
    this.#dropping = undefined
  }

  async #dropUnlessUsed(name: string): Promise<void> {
    try {
      if (!(await this.#options.admin.dropDatabase(name, { force: false }))) {
        this.#left.add(name)
        void this.#retry()
      }
    } catch {
      // A server that is gone takes its databases with it; close() reports any other failure.
      this.#left.add(name)
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
      const names = [...this.#left]
      this.#left.clear()
      names.forEach((name) => this.drop(name))
    }
  }
}

import type { PostgresAdmin } from '../services/postgres-admin.ts'

/**
 * Drops returned databases behind the tests, one after the other. One that somebody is still connected to is kept for
 * later: forcing it would break the idle clients of a worker that outlives its file (an uncaught 57P01 in it).
 */
export class DatabaseDropper {
  readonly #admin: PostgresAdmin
  readonly #inUse = new Set<string>()
  #dropping: Promise<void> = Promise.resolve()

  constructor(admin: PostgresAdmin) {
    this.#admin = admin
  }

  /** Databases that could not be dropped yet. */
  get inUse(): ReadonlySet<string> {
    return this.#inUse
  }

  drop(name: string): void {
    this.#inUse.add(name)
    // A server that is gone takes its databases with it; close() tells of any other failure.
    this.#dropping = this.#dropping.then(() => this.#dropAll({ force: false })).catch(() => {})
  }

  /** Drops what is left. Call it when the workers have ended: whoever is still connected is cut off. */
  async close(): Promise<void> {
    this.#dropping = this.#dropping.then(() => this.#dropAll({ force: true }))
    await this.#dropping
  }

  async #dropAll(options: { force: boolean }): Promise<void> {
    for (const name of this.#inUse) {
      if (await this.#admin.dropDatabase(name, options)) {
        this.#inUse.delete(name)
      }
    }
  }
}

import type { RetainedDatabase } from '../leasing/lease-source.ts'

/** Maximum number of retained databases. Each takes memory, and more are rarely inspected. */
const MAX_RETAINED = 5

/** Databases of the latest failed tests, which are not dropped when their lease ends. */
export class RetainedDatabases {
  readonly #drop: (database: string) => void
  /** Retained databases by name, the oldest first. */
  readonly #retained = new Map<string, RetainedDatabase>()
  /** Retained databases whose lease has ended. */
  readonly #released = new Set<string>()

  constructor(drop: (database: string) => void) {
    this.#drop = drop
  }

  /** Retains a leased database. If that exceeds the limit, the oldest one is no longer retained. */
  retain(retained: RetainedDatabase): void {
    this.#retained.set(retained.database, this.#retained.get(retained.database) ?? retained)
    const [oldest] = this.#retained.keys()
    if (oldest !== undefined && this.#retained.size > MAX_RETAINED) {
      this.#remove(oldest)
    }
  }

  /** Records that the lease of a database has ended; returns whether the database is retained. */
  release(database: string): boolean {
    if (this.#retained.has(database)) {
      this.#released.add(database)
    }
    return this.#retained.has(database)
  }

  list(): readonly RetainedDatabase[] {
    return [...this.#retained.values()]
  }

  clear(): void {
    this.list().forEach(({ database }) => this.#remove(database))
  }

  /** Stops retaining a database. Drops it now, or at the end of its lease if it is still leased. */
  #remove(database: string): void {
    this.#retained.delete(database)
    if (this.#released.delete(database)) {
      this.#drop(database)
    }
  }
}

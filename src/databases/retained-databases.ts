import type { RetainedDatabase } from '../leasing/lease-source.ts'

/** Each takes memory, and more are rarely inspected. */
const MAX_RETAINED = 5

/** Databases of the latest failed tests, which are not dropped when their lease ends. */
export class RetainedDatabases {
  readonly #drop: (database: string) => void
  /** By name, the oldest first. */
  readonly #retained = new Map<string, RetainedDatabase>()
  /** Retained databases whose lease has ended. */
  readonly #released = new Set<string>()

  constructor(drop: (database: string) => void) {
    this.#drop = drop
  }

  /** Retains a leased database; at the limit, gives up the oldest one. */
  retain(retained: RetainedDatabase): void {
    this.#retained.set(retained.database, this.#retained.get(retained.database) ?? retained)
    const [oldest] = this.#retained.keys()
    if (oldest !== undefined && this.#retained.size > MAX_RETAINED) {
      this.#remove(oldest)
    }
  }

  /** Call it when the lease ends; returns whether the database is retained. */
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

  /** A database that is still leased is dropped at the end of its lease. */
  #remove(database: string): void {
    this.#retained.delete(database)
    if (this.#released.delete(database)) {
      this.#drop(database)
    }
  }
}

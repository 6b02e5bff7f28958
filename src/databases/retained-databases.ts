import type { RetainedDatabase } from '../leasing/lease-broker.ts'

/** Each takes memory, and more are hardly ever looked at. */
const MOST_RETAINED = 5

/** The databases of the last few tests that failed, which stay when their lease is over. */
export class RetainedDatabases {
  readonly #drop: (database: string) => void
  /** In the order in which they were retained. */
  readonly #retained = new Map<string, RetainedDatabase>()
  /** Those whose lease is over. */
  readonly #free = new Set<string>()

  constructor(drop: (database: string) => void) {
    this.#drop = drop
  }

  /** Retains one that is leased. */
  retain(retained: RetainedDatabase): void {
    this.#retained.set(retained.database, this.#retained.get(retained.database) ?? retained)
    const [oldest] = this.#retained.keys()
    if (oldest !== undefined && this.#retained.size > MOST_RETAINED) {
      this.#letGo(oldest)
    }
  }

  /** Says that its lease is over; returns whether it is retained. */
  release(database: string): boolean {
    if (this.#retained.has(database)) {
      this.#free.add(database)
    }
    return this.#retained.has(database)
  }

  list(): readonly RetainedDatabase[] {
    return [...this.#retained.values()]
  }

  /** Drops all of them. */
  clear(): void {
    this.list().forEach(({ database }) => this.#letGo(database))
  }

  /** One that is still leased is dropped with its lease. */
  #letGo(database: string): void {
    this.#retained.delete(database)
    if (this.#free.delete(database)) {
      this.#drop(database)
    }
  }
}

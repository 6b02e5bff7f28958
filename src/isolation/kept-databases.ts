/** Each takes room in memory, and nobody looks into more. */
const MOST_KEPT = 5

export interface KeptDatabase {
  readonly database: string
  /** The file or test that failed in it. */
  readonly owner: string
}

/** The databases of the last few tests that failed, which stay when their lease is over. */
export class KeptDatabases {
  readonly #drop: (database: string) => void
  /** In the order in which they were kept. */
  readonly #kept = new Map<string, KeptDatabase>()
  /** Those whose lease is over. */
  readonly #free = new Set<string>()

  constructor(drop: (database: string) => void) {
    this.#drop = drop
  }

  /** Keeps one that is leased. */
  keep(kept: KeptDatabase): void {
    this.#kept.set(kept.database, this.#kept.get(kept.database) ?? kept)
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size > MOST_KEPT) {
      this.#letGo(oldest)
    }
  }

  /** Takes one whose lease is over; returns whether it is kept. */
  take(database: string): boolean {
    if (this.#kept.has(database)) {
      this.#free.add(database)
    }
    return this.#kept.has(database)
  }

  list(): readonly KeptDatabase[] {
    return [...this.#kept.values()]
  }

  /** Keeps none any longer. */
  clear(): void {
    this.list().forEach(({ database }) => this.#letGo(database))
  }

  /** One that is still leased is dropped with its lease. */
  #letGo(database: string): void {
    this.#kept.delete(database)
    if (this.#free.delete(database)) {
      this.#drop(database)
    }
  }
}

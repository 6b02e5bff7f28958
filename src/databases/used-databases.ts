/** Logical databases that are reused without a reset, for `isolation: 'worker'`. */
export class UsedDatabases {
  readonly #used: number[] = []
  readonly #toKeep = new Set<number>()

  /**
   * Acquires the database that was released last, most likely by the same worker; else a fresh one, which is kept
   * later.
   */
  async acquire(reuse: boolean, acquireFresh: () => Promise<number>): Promise<number> {
    const database = (reuse ? this.#used.pop() : undefined) ?? (await acquireFresh())
    if (reuse) {
      this.#toKeep.add(database)
    }
    return database
  }

  /** Keeps a database for reuse if it was acquired so; returns whether it did. */
  keep(database: number): boolean {
    const isKept = this.#toKeep.delete(database)
    if (isKept) {
      this.#used.push(database)
    }
    return isKept
  }

  /** Removes the oldest unused database, so that a waiting request can reset and use it. */
  removeOldest(): number | undefined {
    return this.#used.shift()
  }
}

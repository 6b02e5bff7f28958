/** Logical databases that are released as they are, to be reused by `isolation: 'worker'`. */
export class UsedDatabases {
  readonly #used: number[] = []
  readonly #toKeep = new Set<number>()

  /** The one that was released last, most likely by the same worker; if there is none, a fresh one, to be reused. */
  async acquire(reuse: boolean, acquireFresh: () => Promise<number>): Promise<number> {
    const database = (reuse ? this.#used.pop() : undefined) ?? (await acquireFresh())
    if (reuse) {
      this.#toKeep.add(database)
    }
    return database
  }

  /** Returns whether it is one to be used again. */
  keep(database: number): boolean {
    const isKept = this.#toKeep.delete(database)
    if (isKept) {
      this.#used.push(database)
    }
    return isKept
  }

  /** Gives up an unused one, so that a waiting request can have it fresh. */
  removeOldest(): number | undefined {
    return this.#used.shift()
  }
}

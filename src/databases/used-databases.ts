/** Logical databases that are given back as they were left, for whoever takes used ones. */
export class UsedDatabases {
  readonly #used: number[] = []
  readonly #toKeep = new Set<number>()

  /** The one that was given back last, most likely by who asks; where there is none, a fresh one, to be used again. */
  async take(reuse: boolean, takeFresh: () => Promise<number>): Promise<number> {
    const database = (reuse ? this.#used.pop() : undefined) ?? (await takeFresh())
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

  /** Better a new one for who waits than an old one for nobody. */
  giveUp(): number | undefined {
    return this.#used.shift()
  }
}

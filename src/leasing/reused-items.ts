/** Items that are not reset between leases, for `isolation: 'worker'`: the next lease gets one as the last user left it. */
export class ReusedItems<T> {
  readonly #free: T[] = []
  readonly #leased = new Set<T>()
  readonly #isUsable: (item: T) => Promise<boolean>

  /** @param isUsable is called before an item is reused. An unusable one is removed. */
  constructor(isUsable: (item: T) => Promise<boolean> = async () => true) {
    this.#isUsable = isUsable
  }

  /**
   * Acquires the item that was released last, most likely by the same worker, or a new one.
   *
   * @param reuse whether a used item will do, and the acquired one is to be reused
   */
  async acquire(reuse: boolean, acquireNew: () => Promise<T>): Promise<T> {
    const used = reuse ? this.#free.pop() : undefined
    const item = used !== undefined && (await this.#isUsable(used)) ? used : await acquireNew()
    if (reuse) {
      this.#leased.add(item)
    }
    return item
  }

  /** Returns false for an item that was not acquired for reuse. */
  release(item: T): boolean {
    const isReused = this.#leased.delete(item)
    if (isReused) {
      this.#free.push(item)
    }
    return isReused
  }

  /** Removes an item that is free, for a lease that waits for a new one. */
  removeOldest(): T | undefined {
    return this.#free.shift()
  }

  /** Removes all items: those that are free are returned, and those that are leased will not be reused. */
  clear(): T[] {
    this.#leased.clear()
    return this.#free.splice(0)
  }
}

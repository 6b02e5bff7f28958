/**
 * Items that are not reset between leases, for `isolation: 'worker'`. The next lease gets an item as its last user left
 * it.
 */
export class ReusedItems<T> {
  readonly #free: T[] = []
  readonly #leased = new Set<T>()
  readonly #isUsable: (item: T) => Promise<boolean>

  /** @param isUsable checks an item before it is reused; an unusable item is removed */
  constructor(isUsable: (item: T) => Promise<boolean> = async () => true) {
    this.#isUsable = isUsable
  }

  /**
   * Resolves to the item that was released last, most likely by the same worker, or to a new one.
   *
   * @param reuse whether to accept a used item, and to reuse the acquired item after its release
   */
  async acquire(reuse: boolean, acquireNew: () => Promise<T>): Promise<T> {
    const used = reuse ? this.#free.pop() : undefined
    const item = used !== undefined && (await this.#isUsable(used)) ? used : await acquireNew()
    if (reuse) {
      this.#leased.add(item)
    }
    return item
  }

  /** Releases an item for reuse. Returns false if it was not acquired for reuse. */
  release(item: T): boolean {
    const isReused = this.#leased.delete(item)
    if (isReused) {
      this.#free.push(item)
    }
    return isReused
  }

  /**
   * Removes and returns the free item that was released first, for a lease that waits for a new one; undefined if none
   * is free.
   */
  removeOldest(): T | undefined {
    return this.#free.shift()
  }

  /** Removes all items. Returns those that are free; those that are leased will not be reused. */
  clear(): T[] {
    this.#leased.clear()
    return this.#free.splice(0)
  }
}

/** A counting semaphore. It permits `count` concurrent operations; further ones wait in order. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Acquires a slot; resolves when one is free. */
  async begin(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    await promise
  }

  /** Releases a slot. */
  end(): void {
    const next = this.#waiting.shift()
    if (next) {
      next()
    } else {
      this.#free += 1
    }
  }
}

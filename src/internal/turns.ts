/** Lets so many things be done at once; whatever comes later waits for the first that ends. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Resolves when it is one's turn. */
  async begin(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    await promise
  }

  /** Hands the turn on. */
  end(): void {
    const next = this.#waiting.shift()
    if (next) {
      next()
    } else {
      this.#free += 1
    }
  }
}

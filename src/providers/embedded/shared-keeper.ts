import { Keeper } from './keeper.ts'

/** One keeper for all services of a run: opened for the first of them, closed after the last. */
export class SharedKeeper {
  readonly #open: () => Promise<Keeper>
  #keeper: Promise<Keeper> | undefined
  #users = 0

  constructor(parent: string, environment: Readonly<Record<string, string>>) {
    this.#open = () => Keeper.open(parent, environment)
  }

  /** Each caller releases it, also if acquiring it failed. */
  acquire(): Promise<Keeper> {
    this.#users += 1
    this.#keeper ??= this.#open()
    return this.#keeper
  }

  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users === 0) {
      const keeper = this.#keeper
      this.#keeper = undefined
      await keeper?.then(
        (open) => open.close(),
        () => {},
      )
    }
  }
}

import { Supervisor } from './supervisor.ts'

/** One supervisor for all services of a run: opened for the first of them, closed after the last. */
export class SharedSupervisor {
  readonly #open: () => Promise<Supervisor>
  #supervisor: Promise<Supervisor> | undefined
  #users = 0

  constructor(parent: string, environment: Readonly<Record<string, string>>) {
    this.#open = () => Supervisor.open(parent, environment)
  }

  /** Each caller releases it, also if acquiring it failed. */
  acquire(): Promise<Supervisor> {
    this.#users += 1
    this.#supervisor ??= this.#open()
    return this.#supervisor
  }

  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users === 0) {
      const supervisor = this.#supervisor
      this.#supervisor = undefined
      await supervisor?.then(
        (open) => open.close(),
        () => {},
      )
    }
  }
}

type Environment = Record<string, string | undefined>

/** Variables that were put into an environment and can be taken out again. */
export class EnvironmentPatch {
  readonly #target: Environment
  readonly #before = new Map<string, string | undefined>()

  constructor(target: Environment) {
    this.#target = target
  }

  apply(variables: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(variables)) {
      if (!this.#before.has(name)) {
        this.#before.set(name, this.#target[name])
      }
      this.#target[name] = value
    }
  }

  restore(): void {
    for (const [name, value] of this.#before) {
      if (value === undefined) {
        delete this.#target[name]
      } else {
        this.#target[name] = value
      }
    }
    this.#before.clear()
  }
}

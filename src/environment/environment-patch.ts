import { namesSet, setVariables } from './set-variables.ts'

type Environment = Record<string, string | undefined>

/** Variables that were set in an environment and can be restored. */
export class EnvironmentPatch {
  readonly #target: Environment
  readonly #before = new Map<string, string | undefined>()

  constructor(target: Environment) {
    this.#target = target
  }

  apply(variables: Readonly<Record<string, string>>): void {
    for (const name of namesSet(variables).filter((changed) => !this.#before.has(changed))) {
      this.#before.set(name, this.#target[name])
    }
    setVariables(this.#target, variables)
  }

  /** Returns the previous values; `undefined` for variables that were unset. */
  before(): Record<string, string | undefined> {
    return Object.fromEntries(this.#before)
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

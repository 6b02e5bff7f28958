import { namesSet, setVariables } from './set-variables.ts'

type Environment = Record<string, string | undefined>

/** Variables that were put into an environment and can be taken out again. */
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

  /** What the variables were; `undefined` for those that were not there. */
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

import { parseEnv } from 'node:util'
import { InfraError } from '../errors.ts'

const PROBE = 'VITEST_INFRA_LINE_PROBE'

/** A file of variables, read as Node reads it with `--env-file`. */
export class EnvFile {
  readonly #name: string
  readonly #text: string
  readonly #values: Readonly<Record<string, string | undefined>>

  /** @param name what to call it in an error */
  constructor(name: string, text: string) {
    this.#name = name
    // Node takes a byte order mark for a part of the first name.
    this.#text = text.replace(/^\ufeff/, '')
    this.#values = parseEnv(this.#text)
  }

  /** The names that it sets. */
  get names(): string[] {
    return Object.keys(this.#values)
  }

  /**
   * The value of a variable.
   *
   * @throws InfraError `INFRA_CONFIG_INVALID` for a line that is meant to set it and does not, which Node passes over, and
   * for a quote that is not closed, which Node takes for a part of the value
   */
  valueOf(name: string): string | undefined {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined
    if (value === undefined) {
      this.#refuse(name, new RegExp(`^[ \\t]*${name}[ \\t]*(?::.*)?\\r?$`), {
        reason: 'the line does not set it',
        remedy: `Write ${name}=value`,
      })
    } else if (/^["'`]/.test(value)) {
      this.#refuse(name, new RegExp(`^${assignment(name)}${value[0]}`), {
        reason: `its quote ${value[0]} is not closed`,
        remedy: 'Close it; a value that begins with a quote stands in quotes of another kind',
      })
    }
    return value
  }

  /** Where a variable is set, such as `.env:3`. */
  placeOf(name: string): string {
    return this.#place(this.#lineOf(new RegExp(`^${assignment(name)}`)))
  }

  #refuse(name: string, pattern: RegExp, { reason, remedy }: { reason: string; remedy: string }): void {
    const line = this.#lineOf(pattern)
    if (line !== undefined) {
      throw new InfraError('INFRA_CONFIG_INVALID', {
        problem: `Cannot read ${name} from ${this.#place(line)}: ${reason}`,
        remedy,
      })
    }
  }

  /** The last such line that does not stand within another variable's quotes; 1-based. */
  #lineOf(pattern: RegExp): number | undefined {
    const lines = this.#text.split('\n')
    const isOutside = (index: number) =>
      parseEnv([...lines.slice(0, index), `${PROBE}=1`, ...lines.slice(index)].join('\n'))[PROBE] === '1'
    const index = lines.findLastIndex((line, at) => pattern.test(line) && isOutside(at))
    return index === -1 ? undefined : index + 1
  }

  #place(line: number | undefined): string {
    return line === undefined ? this.#name : `${this.#name}:${line}`
  }
}

function assignment(name: string): string {
  return `[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=[ \\t]*`
}

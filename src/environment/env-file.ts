import { parseEnv } from 'node:util'
import { InfraError } from '../errors.ts'

const PROBE = 'VITEST_INFRA_LINE_PROBE'

/** An env file, parsed in the same way as by Node's `--env-file`. */
export class EnvFile {
  readonly #name: string
  readonly #text: string
  readonly #values: Readonly<Record<string, string | undefined>>

  /** @param name the file's name in errors */
  constructor(name: string, text: string) {
    this.#name = name
    // Node would treat a byte order mark as the beginning of the first name.
    this.#text = text.replace(/^\ufeff/, '')
    this.#values = parseEnv(this.#text)
  }

  /** The names of the variables that the file sets. */
  get names(): string[] {
    return Object.keys(this.#values)
  }

  /**
   * Returns the value of a variable.
   *
   * @throws InfraError `INFRA_CONFIG_INVALID` for a line with the name but no value, which Node ignores, and for an
   * unclosed quote, which Node includes in the value
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
        remedy: 'Close the quote; enclose a value that begins with a quote in quotes of another kind',
      })
    }
    return value
  }

  /** Returns the file and line that set a variable, such as `.env:3`. */
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

  /** Returns the number (from 1) of the last matching line that is not inside another variable's quotes. */
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

import { styleText } from 'node:util'

/** The result of one check of `doctor`. */
export interface Finding {
  readonly name: string
  /** The observed state, or a description of the fault. */
  readonly text: string
  /** The remedy for the fault; undefined if the check passed. */
  readonly remedy?: string
  /** Whether tests can run even if this check failed. */
  readonly isOptional?: boolean
}

/** Renders one line for each check, followed by the remedy if the check failed. */
export function renderDiagnosis(findings: readonly Finding[], stream: NodeJS.WriteStream): string {
  const width = Math.max(...findings.map(({ name }) => name.length))
  return findings
    .flatMap(({ name, text, remedy, isOptional = false }) => {
      const mark = remedy === undefined ? styleText('green', '✓', { stream }) : styleText('red', '✗', { stream })
      const note = remedy !== undefined && isOptional ? ' (tests run without it)' : ''
      const [first = '', ...more] = text.split('\n')
      const below = remedy === undefined ? more : [...more, `→ ${remedy}`]
      return [
        `${mark} ${name.padEnd(width)}  ${first}${note}`,
        ...below.map((line) => `${' '.repeat(width + 4)}${line}`),
      ]
    })
    .map((line) => `${line}\n`)
    .join('')
}

export function canTestsRun(findings: readonly Finding[]): boolean {
  return findings.every(({ remedy, isOptional }) => remedy === undefined || isOptional === true)
}

import { styleText } from 'node:util'

/** What was found out about one thing that tests need. */
export interface Finding {
  readonly name: string
  /** What is there, or what is wrong with it. */
  readonly text: string
  /** What to do about it; none: all is well. */
  readonly remedy?: string
  /** Whether tests run all the same. */
  readonly isOptional?: boolean
}

/** A line for each, and beneath those that fail what to do. */
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

/** Whether tests can run. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ remedy, isOptional }) => remedy === undefined || isOptional === true)
}

import { InfraError } from '../errors.ts'
import { shellWord } from '../internal/shell-word.ts'

/** The formats in which variables are printed for other programs. */
export const VARIABLE_FORMATS = ['dotenv', 'shell', 'json', 'github'] as const
export type VariableFormat = (typeof VARIABLE_FORMATS)[number]

const NAME = /^[A-Za-z_]\w*$/

const LINES: Readonly<Record<Exclude<VariableFormat, 'json'>, (name: string, value: string) => string>> = {
  dotenv: (name, value) => `${name}=${dotenvValue(name, value)}`,
  shell: (name, value) => `export ${name}=${shellWord(value)}`,
  github: githubLines,
}

/**
 * The text from which a reader of `format` takes the same values.
 *
 * @throws InfraError `INFRA_ENV_FUNCTION` for what the format has no way to write
 */
export function renderVariables(variables: Readonly<Record<string, string>>, format: VariableFormat): string {
  if (format === 'json') {
    return `${JSON.stringify(variables, undefined, 2)}\n`
  }
  return Object.entries(variables)
    .map(([name, value]) => `${LINES[format](assertName(name, format), value)}\n`)
    .join('')
}

/** Readers of env files agree on no escapes, only that quoted text is literal: the value must lack one kind of quote. */
function dotenvValue(name: string, value: string): string {
  if (/^[\w.:/@%?=+,-]*$/.test(value)) {
    return value
  }
  // Between double quotes, a backslash and a dollar mean something to some readers.
  const quote = ["'", ...(/[\\$]/.test(value) ? [] : ['"']), '`'].find((free) => !value.includes(free))
  if (quote === undefined || value.includes('\r')) {
    throw unwritable(name, 'dotenv', 'its value holds a carriage return, or quotes of every kind')
  }
  return `${quote}${value}${quote}`
}

/** For `$GITHUB_ENV`: a value of several lines ends at a line that is none of them. */
function githubLines(name: string, value: string): string {
  if (!/[\r\n]/.test(value)) {
    return `${name}=${value}`
  }
  const lines = new Set(value.split(/\r\n|\r|\n/))
  let end = 'EOF'
  while (lines.has(end)) {
    end += '_'
  }
  return `${name}<<${end}\n${value}\n${end}`
}

function assertName(name: string, format: VariableFormat): string {
  if (!NAME.test(name)) {
    throw unwritable(JSON.stringify(name), format, 'a name is made of letters, digits and _')
  }
  return name
}

function unwritable(name: string, format: VariableFormat, reason: string): InfraError {
  return new InfraError('INFRA_ENV_FUNCTION', {
    problem: `Cannot write the variable ${name} as ${format}: ${reason}`,
    remedy: 'Ask for it with --format json, or give it another name or value',
  })
}

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
 * Renders variables so that a reader of `format` gets the same values.
 *
 * @throws InfraError `INFRA_ENV_FUNCTION` for a name or value that the format cannot express
 */
export function renderVariables(variables: Readonly<Record<string, string>>, format: VariableFormat): string {
  if (format === 'json') {
    return `${JSON.stringify(variables, undefined, 2)}\n`
  }
  return Object.entries(variables)
    .map(([name, value]) => `${LINES[format](assertName(name, format), value)}\n`)
    .join('')
}

/**
 * Quotes a value without escapes, because readers of env files interpret escapes differently. At least one kind of
 * quote must be absent from the value.
 */
function dotenvValue(name: string, value: string): string {
  if (/^[\w.:/@%?=+,-]*$/.test(value)) {
    return value
  }
  // Some readers interpret a backslash or dollar between double quotes.
  const quote = ["'", ...(/[\\$]/.test(value) ? [] : ['"']), '`'].find((free) => !value.includes(free))
  if (quote === undefined || value.includes('\r')) {
    throw unwritable(name, 'dotenv', 'its value contains a carriage return, or quotes of every kind')
  }
  return `${quote}${value}${quote}`
}

/**
 * Returns the lines of a variable for `$GITHUB_ENV`. A value of several lines needs a delimiter that differs from all
 * of them.
 */
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
    throw unwritable(JSON.stringify(name), format, 'a name may only contain letters, digits and _')
  }
  return name
}

function unwritable(name: string, format: VariableFormat, reason: string): InfraError {
  return new InfraError('INFRA_ENV_FUNCTION', {
    problem: `Cannot write the variable ${name} as ${format}: ${reason}`,
    remedy: 'Use --format json, or change the name or value of the variable',
  })
}

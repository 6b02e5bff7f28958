import type { Command, CommandOption } from './command.ts'

const EXIT_CODES = `Exit codes:
  0  done
  1  failed; the last line says what to do
  2  the command line was not understood
A command that runs another program exits with its code, or with 127 if it was not found.
`

/** Renders the output of `vitest-infra help`. */
export function renderHelp(commands: Readonly<Record<string, Command>>): string {
  const list = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)
  return `Usage: vitest-infra <command>

Commands:
${renderTable(list)}
Options:
${renderTable([
  ['-h, --help', 'Show this help; after a command, the help of that command'],
  ['-v, --version', 'Show the version of this package'],
])}
${EXIT_CODES}`
}

/** Renders the output of `vitest-infra help <command>`. */
export function renderCommandHelp(name: string, { usage, summary, options = {}, examples }: Command): string {
  const list = Object.entries(options).map(([option, about]) => [nameOf(option, about), about.description] as const)
  return `Usage: ${['vitest-infra', name, usage].filter(Boolean).join(' ')}

${summary}
${list.length > 0 ? `\nOptions:\n${renderTable(list)}` : ''}
Examples:
${renderTable(examples)}`
}

function nameOf(option: string, { value }: CommandOption): string {
  return value === undefined ? `--${option}` : `--${option} <${value}>`
}

function renderTable(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}\n`).join('')
}

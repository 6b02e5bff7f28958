import { expect, test } from 'vitest'
import { readCommandLine } from '../../../src/commands/read-command-line.ts'
import { COMMANDS } from '../../../src/commands/table.ts'

function help(...args: readonly string[]): string {
  const line = readCommandLine(args, COMMANDS)
  expect(line.type).toBe('help')
  return line.type === 'help' ? line.help : ''
}

test('help, --help and -h list every command and the exit codes', () => {
  const text = help('help')
  expect([help('--help'), help('-h')]).toEqual([text, text])
  Object.keys(COMMANDS).forEach((name) => expect(text).toMatch(new RegExp(`^  ${name} +\\S`, 'm')))
  expect(text).toContain('\n  0  done\n')
})

test('--version and -v ask for the version', () => {
  expect(['--version', '-v'].map((arg) => readCommandLine([arg], COMMANDS))).toEqual([
    { type: 'version' },
    { type: 'version' },
  ])
})

test.for(Object.keys(COMMANDS))('the help of %s has examples that parse', (name) => {
  const text = help('help', name)
  expect(help(name, '--help')).toBe(text)
  const examples = COMMANDS[name]?.examples ?? []
  expect(examples.length).toBeGreaterThan(0)
  for (const [line, purpose] of examples) {
    expect(text).toContain(line)
    expect(text).toContain(purpose)
    const [, words = ''] = /vitest-infra ([^|>)]*)/.exec(line) ?? []
    expect(readCommandLine(words.trim().split(' '), COMMANDS)).toMatchObject({ type: 'command' })
  }
})

test('the help of a command states its purpose, options and examples', () => {
  expect(help('up', '-h')).toMatchInlineSnapshot(`
    "Usage: vitest-infra up [--ttl <time>] [--wait]

    Start the stack of this project and leave it running for test runs

    Options:
      --wait        Return when all services are healthy; this is always so, the option exists as in docker compose
      --ttl <time>  How long the stack runs without use, such as 30m (default: 8h)

    Examples:
      vitest-infra up            PostgreSQL and Redis for a day of work
      vitest-infra up --ttl 30m  The servers stop half an hour after the last run
    "
  `)
})

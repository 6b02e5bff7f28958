#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { InfraError, messageOf } from './errors.ts'

const HELP = `Usage: vitest-infra <command>

Commands:
  gc          Remove the snapshots that runs of all projects have left in the container engine

Options:
  -h, --help  Show this help
`

const USAGE_ERROR = 2

process.exitCode = await main(process.argv.slice(2))

/** Returns the exit code: 0 when done, 1 when it failed, 2 when the command line is not understood. */
async function main(args: readonly string[]): Promise<number> {
  const command = readCommand(args)
  if (command === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command !== 'gc') {
    process.stderr.write(`${command.problem}\n\n${HELP}`)
    return USAGE_ERROR
  }
  try {
    const { gc } = await import('./commands/gc.ts')
    process.stdout.write(`${await gc(process.env)}\n`)
    return 0
  } catch (error) {
    // An error that was not raised on purpose is worth its stack.
    const isOurs = error instanceof InfraError
    process.stderr.write(`${isOurs ? messageOf(error) : String((error as Error).stack ?? error)}\n`)
    return 1
  }
}

function readCommand(args: readonly string[]): 'help' | 'gc' | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    if (values.help) {
      return 'help'
    }
    const [command = '', ...more] = positionals
    const isKnown = command === 'gc' && more.length === 0
    return isKnown ? 'gc' : { problem: command === '' ? 'A command is missing' : `Unknown command: ${args.join(' ')}` }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

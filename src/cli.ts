#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { InfraError, messageOf } from './errors.ts'

const DEFAULT_TTL = '8h'

const HELP = `Usage: vitest-infra <command>

Commands:
  up            Start the stack of this project and leave it up: tests use it from then on
  down          End what up and keepAlive have left up for this project, whoever uses it
  gc            Remove the snapshots that runs of all projects have left in the container engine

Options:
  --ttl <time>  Of up: how long the stack stays when nobody uses it, such as 30m (default: ${DEFAULT_TTL})
  -h, --help    Show this help
`

const USAGE_ERROR = 2

interface Options {
  readonly ttl?: string
}

/** What each command does, loaded with it; resolves to what is to be printed. */
const COMMANDS: Readonly<Record<string, (options: Options) => Promise<string>>> = {
  async up({ ttl = DEFAULT_TTL }) {
    const [{ up }, { createReporter }, { cleanUpBeforeExit }] = await Promise.all([
      import('./commands/up.ts'),
      import('./report/reporter.ts'),
      import('./internal/clean-up-before-exit.ts'),
    ])
    const report = createReporter(process.stderr)
    const whileStarting = (stop: () => Promise<void>) => cleanUpBeforeExit(process, stop)
    return up({ environment: process.env, directory: process.cwd(), ttl, report, whileStarting })
  },
  async down() {
    const { down } = await import('./commands/down.ts')
    return down(process.env, process.cwd())
  },
  async gc() {
    const { gc } = await import('./commands/gc.ts')
    return gc(process.env)
  },
}

process.exitCode = await main(process.argv.slice(2))

/** Returns the exit code: 0 when done, 1 when it failed, 2 when the command line is not understood. */
async function main(args: readonly string[]): Promise<number> {
  const understood = readCommand(args)
  if (understood === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if ('problem' in understood) {
    process.stderr.write(`${understood.problem}\n\n${HELP}`)
    return USAGE_ERROR
  }
  // What a run leaves to the engine lets its process end meanwhile; a command is done when it is done.
  const alive = setInterval(() => {}, 60_000)
  try {
    process.stdout.write(`${await understood.run()}\n`)
    return 0
  } catch (error) {
    // An error that was not raised on purpose is worth its stack.
    const isOurs = error instanceof InfraError
    process.stderr.write(`${isOurs ? messageOf(error) : String((error as Error).stack ?? error)}\n`)
    return 1
  } finally {
    clearInterval(alive)
  }
}

type Understood = 'help' | { readonly run: () => Promise<string> } | { readonly problem: string }

function readCommand(args: readonly string[]): Understood {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { help: { type: 'boolean', short: 'h' }, ttl: { type: 'string' } },
      allowPositionals: true,
    })
    if (values.help) {
      return 'help'
    }
    const [name = '', ...more] = positionals
    const command = Object.hasOwn(COMMANDS, name) && more.length === 0 ? COMMANDS[name] : undefined
    if (!command) {
      return { problem: name === '' ? 'A command is missing' : `Unknown command: ${args.join(' ')}` }
    }
    if (values.ttl !== undefined && name !== 'up') {
      return { problem: `--ttl is an option of up, not of ${name}` }
    }
    return { run: () => command(values) }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

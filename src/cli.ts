#!/usr/bin/env node
import type { Host } from './commands/command.ts'
import { readCommandLine } from './commands/read-command-line.ts'
import { COMMANDS } from './commands/table.ts'
import { InfraError, messageOf } from './errors.ts'
import { packageVersion } from './package-version.ts'

const FAILED = 1
const MISUSED = 2

// A reader such as `head` may close the pipe early, which is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      throw error
    }
    process.exit()
  })
}

process.exitCode = await main(process.argv.slice(2))

/** Returns the exit code: 0 when done, 1 when it failed, 2 when the command line is not understood. */
async function main(args: readonly string[]): Promise<number> {
  const line = readCommandLine(args, COMMANDS)
  if (line.type === 'help') {
    process.stdout.write(line.help)
    return 0
  }
  if (line.type === 'version') {
    process.stdout.write(`${packageVersion()}\n`)
    return 0
  }
  if (line.type === 'misuse') {
    process.stderr.write(`${line.problem}\n\n${line.help}`)
    return MISUSED
  }
  // What a run leaves to the engine lets its process end meanwhile; a command is done when it is done.
  const alive = setInterval(() => {}, 60_000)
  try {
    return await line.command.run(line.call, hostOf(process))
  } catch (error) {
    // An error that was not raised on purpose is worth its stack.
    const isOurs = error instanceof InfraError
    process.stderr.write(`${isOurs ? messageOf(error) : String((error as Error).stack ?? error)}\n`)
    return FAILED
  } finally {
    clearInterval(alive)
  }
}

function hostOf({ env, versions, stdin, stdout, stderr }: NodeJS.Process): Host {
  const directory = process.cwd()
  return { environment: env, directory, nodeVersion: versions.node, stdin, stdout, stderr, process }
}

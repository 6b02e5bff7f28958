#!/usr/bin/env node
import type { Host } from './commands/command.ts'
import { readCommandLine } from './commands/read-command-line.ts'
import { COMMANDS } from './commands/table.ts'
import { InfraError, messageOf } from './errors.ts'
import { packageVersion } from './package-version.ts'

const FAILED = 1
const MISUSED = 2

// A reader such as `head` may close the pipe early, which is not a failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      throw error
    }
    process.exit()
  })
}

process.exitCode = await main(process.argv.slice(2))

/** Returns the exit code: 0 for success, 1 for a failure, 2 for an invalid command line. */
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
  // Cleanup in the engine does not keep a process alive, but a command must wait for it.
  const alive = setInterval(() => {}, 60_000)
  try {
    return await line.command.run(line.call, hostOf(process))
  } catch (error) {
    // Unexpected errors are printed with their stack.
    const isExpected = error instanceof InfraError
    process.stderr.write(`${isExpected ? messageOf(error) : String((error as Error).stack ?? error)}\n`)
    return FAILED
  } finally {
    clearInterval(alive)
  }
}

function hostOf({ env, versions, stdin, stdout, stderr }: NodeJS.Process): Host {
  const directory = process.cwd()
  return { environment: env, directory, nodeVersion: versions.node, stdin, stdout, stderr, process }
}

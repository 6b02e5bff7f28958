import { constants } from 'node:os'

import { down, exec, status, up, type ExecOptions } from './commands.ts'
import type { Lab } from './lab.ts'
import { resolveLayout } from './layout.ts'
import { createReport, LabError } from './report.ts'

const USAGE = `Usage: npm run -s lab [-- COMMAND]

  (no command)   ensure a container engine and the images; prints what a shell can eval
  down           stop this clone's own engine; its images and downloads stay
  status         say which engine serves, and which images are stand-ins
  exec [--unless-stopped] -- PROGRAM [ARG…]
                 ensure the lab, run the program in it, exit with its code
  --help         this text

Variables: LAB_ENGINE=forky|bookworm picks the engine (Docker 28 or 20.10), LAB=off makes exec
run the program as it is. A DOCKER_HOST of your own is always left alone. More: lab/README.md
`

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const USAGE_ERROR = 2

type Command = { readonly kind: 'up' | 'down' | 'status' } | ({ readonly kind: 'exec' } & ExecOptions)

/** The command that the arguments ask for, or nothing if they make no sense. */
function parseArguments(args: readonly string[]): Command | undefined {
  const [first, ...rest] = args
  if (first === undefined) return { kind: 'up' }
  if (first === 'exec') return parseExec(rest)
  return (first === 'down' || first === 'status') && rest.length === 0 ? { kind: first } : undefined
}

function parseExec(args: readonly string[]): Command | undefined {
  const split = args.indexOf('--')
  if (split === -1) return undefined
  const [options, [program, ...programArgs]] = [args.slice(0, split), args.slice(split + 1)]
  if (program === undefined || options.some((option) => option !== '--unless-stopped')) return undefined
  return { kind: 'exec', unlessStopped: options.length > 0, program, args: programArgs }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && (args[0] === '--help' || args[0] === '-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  const command = parseArguments(args)
  if (command === undefined) {
    process.stderr.write(USAGE)
    return USAGE_ERROR
  }
  const interruption = new AbortController()
  for (const signal of SIGNALS) process.on(signal, () => interruption.abort(signal))
  const lab: Lab = {
    layout: resolveLayout(),
    report: createReport((text) => process.stderr.write(text)),
    environment: process.env,
    signal: interruption.signal,
  }
  try {
    return await runCommand(lab, command)
  } catch (error) {
    if (interruption.signal.aborted) {
      lab.report.line('interrupted; the next run continues from here')
      return 128 + constants.signals[interruption.signal.reason as NodeJS.Signals]
    }
    if (!(error instanceof LabError)) throw error
    lab.report.line(error.message)
    lab.report.line(error.remedy)
    return error.exitCode
  }
}

async function runCommand(lab: Lab, command: Command): Promise<number> {
  switch (command.kind) {
    case 'up':
      return up(lab)
    case 'down':
      return down(lab)
    case 'status':
      return status(lab)
    case 'exec':
      return exec(lab, command)
  }
}

process.exitCode = await main(process.argv.slice(2))

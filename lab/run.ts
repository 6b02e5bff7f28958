import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import { LabError, reasonOf } from './report.ts'

export interface RunOptions {
  /** The file that receives the command line and all output, instead of the terminal. */
  readonly log: string
  readonly signal?: AbortSignal | undefined
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Runs a command to its end and resolves with its standard output.
 *
 * @throws LabError with the last lines of its output when it does not exit with 0.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  await mkdir(dirname(options.log), { recursive: true })
  const log = createWriteStream(options.log, { flags: 'a' })
  log.write(`$ ${[command, ...args].join(' ')}\n`)
  try {
    return await runLogged(command, args, options, log)
  } finally {
    log.end()
  }
}

async function runLogged(
  command: string,
  args: readonly string[],
  { cwd, env, signal, log: logPath }: RunOptions,
  log: NodeJS.WritableStream,
): Promise<string> {
  const child = spawn(command, args, { cwd, env: env ?? process.env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ending = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(reasonOf(error)))
    child.once('close', (code, died) => resolve(code === 0 ? undefined : died ? `signal ${died}` : `exit code ${code}`))
  })
  log.write(stdout + said)
  signal?.throwIfAborted()
  if (ending === undefined) return stdout
  const lines = `${stdout}\n${said}`.trim().split('\n').slice(-8)
  throw new LabError(
    [`Cannot run "${command} ${args.at(-1) ?? ''}": ${ending}`, ...lines].join('\n'),
    `The whole output is in ${logPath}`,
  )
}

import { basename } from 'node:path'
import type { Supervisor } from './supervisor.ts'
import type { Account } from './supervisor-protocol.ts'
import { readLogTail } from './local-program.ts'

const LOG_LINES = 20

export interface ProgramPlace {
  readonly supervisor: Supervisor
  readonly environment: Readonly<Record<string, string>>
  readonly folder: string
  readonly log: string
  readonly account?: Account | undefined
  /** The text of the program's standard input; undefined for none. */
  readonly input?: string
}

/** Runs a program until it exits. Rejects with the end of its log unless the exit code is 0. */
export async function runToEnd(file: string, args: readonly string[], place: ProgramPlace): Promise<void> {
  const { supervisor, environment, folder, log, account, input } = place
  const program = await supervisor.start({
    file,
    args,
    environment,
    folder,
    log,
    endSignal: 'SIGKILL',
    ...(account && { account }),
    ...(input !== undefined && { input }),
  })
  const { code, signal } = await program.awaitExit()
  if (code !== 0) {
    throw new Error(`${basename(file)} ended with ${signal ?? `code ${code}`}: ${await readLogTail(log, LOG_LINES)}`)
  }
}

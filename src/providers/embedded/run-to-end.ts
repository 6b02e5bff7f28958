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
  /** What it reads. */
  readonly input?: string
}

/** Runs a program to its end; rejects with what it printed unless it ends well. */
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

import { type ChildProcess, fork } from 'node:child_process'
import { entryFile } from '../package-files.ts'

export interface ForkOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** @default that of this process */
  readonly cwd?: string
}

/** Forks an entry file of this package, with an IPC channel. Signals that end this process do not reach the child. */
export function forkBeside(entry: string, args: readonly string[], { environment, cwd }: ForkOptions): ChildProcess {
  return fork(entryFile(entry), args, {
    // A group of its own: neither Ctrl-C nor a kill of this one's group reaches it.
    detached: true,
    execArgv: [],
    env: { ...environment },
    cwd,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
}

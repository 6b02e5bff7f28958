import { type ChildProcess, fork } from 'node:child_process'
import { entryFile } from '../package-files.ts'

export interface ForkOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /**
   * The child's working directory.
   *
   * @default the working directory of this process
   */
  readonly cwd?: string
}

/** Forks an entry file of this package with an IPC channel. Signals that end this process do not reach the child. */
export function forkDetached(entry: string, args: readonly string[], { environment, cwd }: ForkOptions): ChildProcess {
  return fork(entryFile(entry), args, {
    // The child leads its own process group, so neither Ctrl-C nor a signal to this process's group reaches it.
    detached: true,
    execArgv: [],
    env: { ...environment },
    cwd,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
}

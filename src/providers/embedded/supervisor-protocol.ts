/** A user account that a program runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A program to run, with its arguments, environment and account. */
export interface Program {
  readonly file: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** The working directory of the program. */
  readonly folder: string
  /** The file to which the program's output is appended. */
  readonly log: string
  /** The text of the program's standard input; undefined for none. */
  readonly input?: string
  /**
   * The account that the program runs as.
   *
   * @default the account of this process
   */
  readonly account?: Account
  /** The signal that ends the program and its children at once, without saving data. */
  readonly endSignal: 'SIGQUIT' | 'SIGKILL'
}

export interface ProgramExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The requests that a supervisor answers. Programs are identified by their process id. */
export interface SupervisorMethods {
  /** Resolves to the supervisor's own folder, once it exists. */
  open(): Promise<string>
  /** Reserves ports of 127.0.0.1 that no other supervisor uses while this one is running. */
  reserve(count: number): Promise<readonly number[]>
  /** Starts a program. Resolves to its process id. */
  start(program: Program): Promise<number>
  /** Requests a clean exit, as Ctrl-C does. */
  interrupt(pid: number): Promise<void>
  /** Freezes a program and its child processes. */
  freeze(pid: number): Promise<void>
  thaw(pid: number): Promise<void>
  /** Ends a program. Resolves when it has exited, at once if it has exited before. */
  end(pid: number): Promise<void>
}

/** A message of the supervisor that is not an answer: a program has exited. */
export interface ExitNotice extends ProgramExit {
  readonly exited: number
}

/** A user account that a program runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A program to run, and how. */
export interface Program {
  readonly file: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Its working directory. */
  readonly folder: string
  /** The file that its output is appended to. */
  readonly log: string
  /** The text of its standard input, if any. */
  readonly input?: string
  /** @default the account of this process */
  readonly account?: Account
  /** The signal that ends it and its own children at once, without regard to its data. */
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
  /** Ports of 127.0.0.1 that no other supervisor takes while this one is running. */
  reserve(count: number): Promise<readonly number[]>
  /** Resolves to the process id. */
  start(program: Program): Promise<number>
  /** Asks a program to exit, as its operator would. */
  interrupt(pid: number): Promise<void>
  /** Freezes a program with all its processes. */
  freeze(pid: number): Promise<void>
  thaw(pid: number): Promise<void>
  /** Resolves when the program has exited, even if it had before. */
  end(pid: number): Promise<void>
}

/** Sent unasked when a program has exited. */
export interface ExitNotice extends ProgramExit {
  readonly exited: number
}

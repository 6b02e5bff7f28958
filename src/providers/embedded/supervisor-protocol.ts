/** A user that a program runs as. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A program to run, and how. */
export interface Program {
  readonly file: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly folder: string
  /** The file that takes what it prints. */
  readonly log: string
  /** What it reads, if anything. */
  readonly input?: string
  /** None: the account of this process. */
  readonly account?: Account
  /** What makes it end at once, its own children too, where its data is not wanted any more. */
  readonly endSignal: 'SIGQUIT' | 'SIGKILL'
}

/** How a program ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export type SupervisorRequest =
  | { readonly verb: 'reserve'; readonly count: number }
  | { readonly verb: 'start'; readonly program: Program }
  | { readonly verb: 'interrupt' | 'freeze' | 'thaw'; readonly pid: number }
  | { readonly verb: 'end'; readonly pid: number }

/** An event of a supervisor, or its answer to the request of that number. */
export type SupervisorMessage =
  | { readonly type: 'ready'; readonly folder: string }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly message: string }
  | ({ readonly type: 'ended'; readonly pid: number } & Ending)

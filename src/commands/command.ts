import type { Readable } from 'node:stream'
import type { EndingProcess } from '../internal/clean-up-before-exit.ts'

/** An option of a command, by its name without the dashes. */
export interface CommandOption {
  /** What to call its value in the help; none: it is a flag. */
  readonly value?: string
  /** All that its value may be. */
  readonly choices?: readonly string[]
  /** Whether its value is a time, such as `30m`. */
  readonly isDuration?: true
  /** Another one that excludes it. */
  readonly excludes?: string
  readonly description: string
}

/** The arguments after the command's name. */
export interface Call {
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly operands: readonly string[]
}

/** What a command has of the process that it runs in. */
export interface Host {
  readonly environment: Record<string, string | undefined>
  readonly directory: string
  /** Without a `v`. */
  readonly nodeVersion: string
  readonly stdin: Readable & Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly process: EndingProcess & Pick<NodeJS.Process, 'on'>
}

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  /** What follows the name. */
  readonly usage: string
  readonly options?: Readonly<Record<string, CommandOption>>
  /**
   * What may stand there beside options; with `'verbatim'` all of it is for another program to understand, and with
   * `'program'` begins with its name.
   *
   * @default 'none'
   */
  readonly operands?: 'none' | 'one' | 'verbatim' | 'program'
  /** Lines to copy, and what they do. */
  readonly examples: readonly (readonly [line: string, purpose: string])[]
  /** Resolves to the exit code. */
  run(call: Call, host: Host): Promise<number>
}

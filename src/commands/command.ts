import type { Readable } from 'node:stream'
import type { EndingProcess } from '../internal/clean-up-before-exit.ts'

/** An option of a command. The keys of options are their names without dashes. */
export interface CommandOption {
  /** Placeholder for the value in the help; undefined for a flag. */
  readonly value?: string
  /** The permitted values, if only certain values are permitted. */
  readonly choices?: readonly string[]
  /** Whether the value is a duration, such as `30m`. */
  readonly isDuration?: true
  /** Name of another option that cannot be combined with this one. */
  readonly excludes?: string
  readonly description: string
}

/** The parsed arguments after the command's name. */
export interface Call {
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly operands: readonly string[]
}

/** The parts of the process that commands use. */
export interface Host {
  readonly environment: Record<string, string | undefined>
  readonly directory: string
  /** Node's version, without a leading `v`. */
  readonly nodeVersion: string
  readonly stdin: Readable & Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly process: EndingProcess & Pick<NodeJS.Process, 'on'>
}

export interface Command {
  /** One-line summary of the command. */
  readonly summary: string
  /** Synopsis of the arguments. */
  readonly usage: string
  readonly options?: Readonly<Record<string, CommandOption>>
  /**
   * Arguments that are accepted in addition to options. `'verbatim'` passes all arguments to another program.
   * `'program'` does the same, and the first argument is the name of the program.
   *
   * @default 'none'
   */
  readonly operands?: 'none' | 'one' | 'verbatim' | 'program'
  /** Command lines to copy, each with its purpose. */
  readonly examples: readonly (readonly [line: string, purpose: string])[]
  /** Runs the command; resolves to its exit code. */
  run(call: Call, host: Host): Promise<number>
}

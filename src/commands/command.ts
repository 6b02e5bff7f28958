import type { Readable } from 'node:stream'
import type { EndingProcess } from '../internal/clean-up-before-exit.ts'

/** An option of a command. Options are keyed by name, without dashes. */
export interface CommandOption {
  /** Placeholder of the value in the help; undefined for a flag. */
  readonly value?: string
  /** The permitted values. */
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
  /** Summary of the command in one line. */
  readonly summary: string
  /** Synopsis of the arguments. */
  readonly usage: string
  readonly options?: Readonly<Record<string, CommandOption>>
  /**
   * Which arguments are accepted in addition to options. `'verbatim'` passes all arguments to another program;
   * `'program'` does too, and the first one is the program's name.
   *
   * @default 'none'
   */
  readonly operands?: 'none' | 'one' | 'verbatim' | 'program'
  /** Command lines to copy, and what each does. */
  readonly examples: readonly (readonly [line: string, purpose: string])[]
  /** Resolves to the exit code. */
  run(call: Call, host: Host): Promise<number>
}

import type { SeedStep } from '../config/infra-options.ts'
import { assertFilled } from './assert-filled.ts'
import type { Host } from './await-end.ts'
import { runTool } from './run-tool.ts'
import { filesFrom, keyOf, nameProcess, type ProcessOptions } from './tool-options.ts'

/** Options of `command()`. */
export interface CommandOptions extends ProcessOptions {
  /** The files and folders that it reads: when one changes, the template is built anew. */
  readonly files: readonly string[]
}

/** The step that runs a program of the user's. */
export function defineCommand(words: readonly [string, ...string[]], options: CommandOptions, host: Host): SeedStep {
  const name = nameProcess(words, options)
  return {
    name,
    ...keyOf('command', { words, ...options }),
    files: filesFrom(options.cwd, ...options.files),
    async run(context) {
      await runTool({ name, command: words, options, context, host })
      await assertFilled(context, name)
    },
  }
}

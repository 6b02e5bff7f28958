import type { SeedStep } from '../config/infra-options.ts'
import { assertFilled } from './assert-filled.ts'
import type { Host } from './await-exit.ts'
import { runTool } from './run-tool.ts'
import { filesFrom, keyOf, nameProcess, type ProcessOptions } from './tool-options.ts'

/** Options of `command()`. */
export interface CommandOptions extends ProcessOptions {
  /** Files and folders that the command reads. If one of them changes, the template is rebuilt. */
  readonly files: readonly string[]
}

/** Returns a step that runs a command of the user. */
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

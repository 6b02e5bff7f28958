import { resolve } from 'node:path'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { assertFilled } from './assert-filled.ts'
import type { Host } from './await-exit.ts'
import { assertExists, runTool } from './run-tool.ts'
import { filesFrom, keyOf, manifestOf, nameProcess, type ToolOptions } from './tool-options.ts'
import { findScript } from './user-package.ts'

/** A migration tool that an npm package provides as a command. */
export interface Tool {
  readonly packageName: string
  /** Name of the package's command. */
  readonly bin: string
  readonly args: readonly string[]
  /** Returns additional arguments that depend on the database and on absolute paths. */
  readonly runArgs?: (context: SeedContext, directory: string) => readonly string[]
  /** The folder with the migrations, relative to the tool's working directory. The folder must exist. */
  readonly folder: string
  /** Additional files that the tool reads. They may be missing. */
  readonly files?: readonly (string | undefined)[]
  /** Additional variables for a test run. */
  readonly env?: Readonly<Record<string, string>>
}

/** Returns a step that runs a tool that is installed in the user's project. */
export function defineTool(tool: Tool, options: ToolOptions, host: Host): SeedStep {
  const { cwd, args = [], nodeArgs = [], files = [] } = options
  const words = [...tool.args, ...args]
  const name = nameProcess([...nodeWords(nodeArgs), tool.bin, ...words], options)
  return {
    name,
    ...keyOf(tool.bin, { words, folder: tool.folder, ...options }),
    files: filesFrom(cwd, manifestOf(tool.packageName), tool.folder, ...(tool.files ?? []), ...files),
    async run(context) {
      const directory = resolve(context.root, cwd ?? '.')
      const script = findScript(tool.packageName, tool.bin, directory)
      assertExists(resolve(directory, tool.folder), { name, path: tool.folder, root: directory })
      const runArgs = tool.runArgs?.(context, directory) ?? []
      const command = [host.execPath, ...nodeArgs, script, ...words, ...runArgs] as const
      await runTool({ name, command, options, defaults: tool.env, context, host })
      await assertFilled(context, name)
    },
  }
}

/** Returns Node and its arguments for the displayed command line; empty if there are no arguments. */
export function nodeWords(nodeArgs: readonly string[]): string[] {
  return nodeArgs.length === 0 ? [] : ['node', ...nodeArgs]
}

/** Returns the database's URL without its password. All tools based on `pg` read the password from `PGPASSWORD`. */
export function urlWithoutPassword({ url }: SeedContext): string {
  const address = new URL(url)
  address.password = ''
  return address.href
}

import { resolve } from 'node:path'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { assertFilled } from './assert-filled.ts'
import type { Host } from './await-end.ts'
import { assertExists, runTool } from './run-tool.ts'
import { filesFrom, keyOf, manifestOf, nameProcess, type ToolOptions } from './tool-options.ts'
import { findScript } from './user-package.ts'

/** A migration tool with a command line that an npm package brings. */
export interface Tool {
  readonly packageName: string
  /** The package's command. */
  readonly bin: string
  readonly args: readonly string[]
  /** Further arguments that are known only then: where the database is, and where its folders are on this machine. */
  readonly runArgs?: (context: SeedContext, directory: string) => readonly string[]
  /** What has to be there, from the folder that the tool runs in: its migrations. */
  readonly folder: string
  /** Further files that it reads, where they exist. */
  readonly files?: readonly (string | undefined)[]
  /** Variables that make it fit for a test run. */
  readonly env?: Readonly<Record<string, string>>
}

/** The step that runs a tool as the user's project has it installed. */
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

/** As they stand on a command line. */
export function nodeWords(nodeArgs: readonly string[]): string[] {
  return nodeArgs.length === 0 ? [] : ['node', ...nodeArgs]
}

/** The database's URL without its password, which everything built on `pg` takes from `PGPASSWORD`. */
export function urlWithoutPassword({ url }: SeedContext): string {
  const address = new URL(url)
  address.password = ''
  return address.href
}

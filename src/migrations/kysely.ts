import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { entryFile } from '../package-files.ts'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { assertFilled } from './assert-filled.ts'
import { nodeWords } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import { assertExists, runTool } from './run-tool.ts'
import { filesFrom, keyOf, manifestOf, nameProcess, type NodeToolOptions } from './tool-options.ts'
import { assertInstalled } from './user-package.ts'

/** Options of `kysely()`. */
export interface KyselyOptions extends NodeToolOptions {
  /**
   * The folder of the migrations, with one file per migration.
   *
   * @default 'migrations'
   */
  readonly folder?: string
  /** Options of Kysely's `Migrator`, such as `{ migrationTableSchema: 'app', allowUnorderedMigrations: true }`. */
  readonly migrator?: Readonly<Record<string, string | boolean>>
}

export function defineKysely(allOptions: KyselyOptions, host: Host): SeedStep {
  const { folder = 'migrations', migrator = {}, ...options } = allOptions
  const { cwd, nodeArgs = [], files = [] } = options
  const settings = Object.entries(migrator).map(([key, value]) => `${key}=${value}`)
  const name = nameProcess([...nodeWords(nodeArgs), 'kysely', ...settings], options)
  return {
    name,
    ...keyOf('kysely', { folder, migrator, ...options }),
    files: filesFrom(cwd, manifestOf('kysely'), folder, ...files),
    async run(context) {
      const directory = resolve(context.root, cwd ?? '.')
      const absolute = resolve(directory, folder)
      assertInstalled(['kysely'], directory, 'kysely')
      assertExists(absolute, { name, path: folder, root: directory })
      // The migrations run in a separate process. A migration may read the environment at import, and must be imported
      // again after an edit in watch mode.
      const code = renderCode({ folder: absolute, migrator, context })
      const command = [host.execPath, ...nodeArgs, '--input-type=module', '--eval', code] as const
      await runTool({ name, command, options, context, host })
      await assertFilled(context, name)
    },
  }
}

interface Code {
  readonly folder: string
  readonly migrator: Readonly<Record<string, string | boolean>>
  readonly context: SeedContext
}

function renderCode({ folder, migrator, context }: Code): string {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = context.env
  const address = { host, port: Number(port), user, database }
  const module = pathToFileURL(entryFile('migrations/migrate-with-kysely')).href
  return [
    `import { migrateWithKysely } from ${JSON.stringify(module)}`,
    `const address = { ...${JSON.stringify(address)}, password: process.env.PGPASSWORD }`,
    `await migrateWithKysely(address, ${JSON.stringify({ folder, migrator })})`,
    // The error is caught in this code, as Node would otherwise also print this line of source.
    '  .catch((error) => { console.error(error); process.exitCode = 1 })',
  ].join('\n')
}

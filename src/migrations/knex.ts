import { resolve } from 'node:path'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { defineTool, urlWithoutPassword } from './define-tool.ts'
import type { Host } from './await-end.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `knex()`. */
export interface KnexOptions extends ToolOptions {
  /**
   * The folder of the migrations; it wins over the knexfile's.
   *
   * @default 'migrations'
   */
  readonly folder?: string
  /** The knexfile, where it is not the `knexfile.*` that Knex finds by itself. */
  readonly knexfile?: string
}

const KNEXFILES = ['knexfile.js', 'knexfile.mjs', 'knexfile.cjs', 'knexfile.ts']

export function defineKnex({ folder = 'migrations', knexfile, ...options }: KnexOptions, host: Host): SeedStep {
  const tool = {
    packageName: 'knex',
    bin: 'knex',
    args: ['migrate:latest', ...(knexfile === undefined ? [] : ['--knexfile', knexfile])],
    // They win over a knexfile, which may name the database that one develops with, and whose folder Knex goes to.
    runArgs: (context: SeedContext, directory: string) => [
      '--client=pg',
      `--connection=${urlWithoutPassword(context)}`,
      `--migrations-directory=${resolve(directory, folder)}`,
    ],
    folder,
    files: knexfile === undefined ? KNEXFILES : [knexfile],
  }
  return defineTool(tool, options, host)
}

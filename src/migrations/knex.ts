import { resolve } from 'node:path'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { defineTool, urlWithoutPassword } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `knex()`. */
export interface KnexOptions extends ToolOptions {
  /**
   * The folder of the migrations; overrides the knexfile.
   *
   * @default 'migrations'
   */
  readonly folder?: string
  /** The knexfile, unless Knex finds it by default as `knexfile.*`. */
  readonly knexfile?: string
}

const KNEXFILES = ['knexfile.js', 'knexfile.mjs', 'knexfile.cjs', 'knexfile.ts']

export function defineKnex({ folder = 'migrations', knexfile, ...options }: KnexOptions, host: Host): SeedStep {
  const tool = {
    packageName: 'knex',
    bin: 'knex',
    args: ['migrate:latest', ...(knexfile === undefined ? [] : ['--knexfile', knexfile])],
    // These arguments override the knexfile, which may name the development database. Knex also resolves paths relative
    // to the knexfile's folder.
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

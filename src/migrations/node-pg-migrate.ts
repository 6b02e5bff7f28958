import type { SeedStep } from '../config/infra-options.ts'
import { defineTool } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `nodePgMigrate()`. */
export interface NodePgMigrateOptions extends ToolOptions {
  /**
   * The folder of the migrations (`--migrations-dir`).
   *
   * @default 'migrations'
   */
  readonly folder?: string
}

export function defineNodePgMigrate({ folder = 'migrations', ...options }: NodePgMigrateOptions, host: Host): SeedStep {
  const args = ['up', '--migrations-dir', folder]
  return defineTool({ packageName: 'node-pg-migrate', bin: 'node-pg-migrate', args, folder }, options, host)
}

import type { SeedContext, SeedStep } from '../config/infra-options.ts'
import { defineTool, urlWithoutPassword } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `sequelize()`. */
export interface SequelizeOptions extends ToolOptions {
  /**
   * The folder of the migrations; overrides `.sequelizerc`.
   *
   * @default 'migrations'
   */
  readonly folder?: string
}

export function defineSequelize({ folder = 'migrations', ...options }: SequelizeOptions, host: Host): SeedStep {
  const tool = {
    packageName: 'sequelize-cli',
    bin: 'sequelize-cli',
    args: ['db:migrate', '--migrations-path', folder],
    // This argument overrides config/config.json, which may name the development database.
    runArgs: (context: SeedContext) => ['--url', urlWithoutPassword(context)],
    folder,
    files: ['.sequelizerc'],
  }
  return defineTool(tool, options, host)
}

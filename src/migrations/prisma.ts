import type { SeedStep } from '../config/infra-options.ts'
import { defineTool } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `prisma()`. */
export interface PrismaOptions extends ToolOptions {
  /**
   * The folder with `migrations/`, and with the schema unless `schema` is set.
   *
   * @default 'prisma'
   */
  readonly folder?: string
  /** The schema file or folder (`--schema`), unless Prisma finds it by default. */
  readonly schema?: string
  /** The configuration file (`--config`), unless it is `prisma.config.ts`. */
  readonly config?: string
}

/** Disables the update check of Prisma's CLI, which needs the network. */
const QUIET = { CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' }

export function definePrisma({ folder = 'prisma', schema, config, ...options }: PrismaOptions, host: Host): SeedStep {
  const schemaArgs = schema === undefined ? [] : ['--schema', schema]
  const configArgs = config === undefined ? [] : ['--config', config]
  const tool = {
    packageName: 'prisma',
    bin: 'prisma',
    args: ['migrate', 'deploy', ...schemaArgs, ...configArgs],
    folder,
    files: [schema, config ?? 'prisma.config.ts'],
    env: QUIET,
  }
  return defineTool(tool, options, host)
}

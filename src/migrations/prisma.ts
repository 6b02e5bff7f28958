import type { SeedStep } from '../config/infra-options.ts'
import { defineTool } from './define-tool.ts'
import type { Host } from './await-end.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `prisma()`. */
export interface PrismaOptions extends ToolOptions {
  /**
   * The folder that holds `migrations/`, and the schema where there is no `schema`.
   *
   * @default 'prisma'
   */
  readonly folder?: string
  /** The schema file or folder (`--schema`), where it is not the one that Prisma finds by itself. */
  readonly schema?: string
  /** The configuration (`--config`), where it is not `prisma.config.ts`. */
  readonly config?: string
}

/** Prisma's command asks the network for a newer version of itself. */
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

import type { SeedStep } from '../config/infra-options.ts'
import { defineTool } from './define-tool.ts'
import type { Host } from './await-exit.ts'
import type { ToolOptions } from './tool-options.ts'

/** Options of `typeorm()`. */
export interface TypeOrmOptions extends ToolOptions {
  /** The file that exports the `DataSource` (`-d`). The `DataSource` must read `DATABASE_URL` or `DB_*`. */
  readonly dataSource: string
  /** The folder of the migrations. The `DataSource` must name the same folder. */
  readonly folder: string
}

export function defineTypeOrm({ dataSource, folder, ...options }: TypeOrmOptions, host: Host): SeedStep {
  const args = ['migration:run', '-d', dataSource]
  return defineTool({ packageName: 'typeorm', bin: 'typeorm', args, folder, files: [dataSource] }, options, host)
}

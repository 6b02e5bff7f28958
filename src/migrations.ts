import { assertArguments } from './migrations/assert-arguments.ts'
import { type CommandOptions, defineCommand } from './migrations/command.ts'
import { defineKnex, type KnexOptions } from './migrations/knex.ts'
import { defineKysely, type KyselyOptions } from './migrations/kysely.ts'
import { defineNodePgMigrate, type NodePgMigrateOptions } from './migrations/node-pg-migrate.ts'
import { definePrisma, type PrismaOptions } from './migrations/prisma.ts'
import { defineSequelize, type SequelizeOptions } from './migrations/sequelize.ts'
import { defineTypeOrm, type TypeOrmOptions } from './migrations/typeorm.ts'
import type { SeedStep } from './config/infra-options.ts'

export { drizzle, type DrizzleOptions } from './migrations/drizzle.ts'
export { pgDump, type PgDumpOptions } from './migrations/pg-dump.ts'
export { sqlFolder, type SqlFolderOptions } from './migrations/sql-folder.ts'
export type { NodeToolOptions, ProcessOptions, ToolEnvironment, ToolOptions } from './migrations/tool-options.ts'
export type {
  CommandOptions,
  KnexOptions,
  KyselyOptions,
  NodePgMigrateOptions,
  PrismaOptions,
  SequelizeOptions,
  TypeOrmOptions,
}
export type { SeedStep } from './config/infra-options.ts'

/**
 * Any command that migrates: it finds the database in its environment, and programs of `node_modules/.bin` as
 * `npm run` does. No shell reads it.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote, when it fails, takes too long, or leaves the database
 * empty
 * @example
 * defineInfra({ postgres: { migrations: command(['npm', 'run', 'db:migrate'], { files: ['db'] }) } })
 */
export function command(words: readonly [string, ...string[]], options: CommandOptions): SeedStep {
  assertArguments('command', { words, ...options })
  return defineCommand(words, options, process)
}

/**
 * `prisma migrate deploy`, by the project's own `prisma`. The project's schema or `prisma.config.ts` has to read
 * `DATABASE_URL`, or the variable that `env` gives.
 *
 * The engine of that command is a download that the machine that tests this package cannot make: its tests call a
 * stand-in for the command instead, so Prisma itself has not been run by them.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote
 * @example
 * defineInfra({ postgres: { migrations: prisma({ env: ({ url }) => ({ POSTGRES_PRISMA_URL: url }) }) } })
 */
export function prisma(options: PrismaOptions = {}): SeedStep {
  assertArguments('prisma', options)
  return definePrisma(options, process)
}

/**
 * `knex migrate:latest`, by the project's own `knex`. The database and the folder given here win over the knexfile.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote
 * @example
 * defineInfra({ postgres: { migrations: knex({ folder: 'db/migrations', nodeArgs: ['--import', 'tsx'] }) } })
 */
export function knex(options: KnexOptions = {}): SeedStep {
  assertArguments('knex', options)
  return defineKnex(options, process)
}

/**
 * Migrations of Kysely, by the `Migrator` of the project's own `kysely`, in a process of its own.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with the migration's name and the error
 * @example
 * defineInfra({ postgres: { migrations: kysely({ folder: 'src/db/migrations' }) } })
 */
export function kysely(options: KyselyOptions = {}): SeedStep {
  assertArguments('kysely', options)
  return defineKysely(options, process)
}

/**
 * `node-pg-migrate up`, by the project's own `node-pg-migrate`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote
 * @example
 * defineInfra({ postgres: { migrations: nodePgMigrate({ folder: 'migrations' }) } })
 */
export function nodePgMigrate(options: NodePgMigrateOptions = {}): SeedStep {
  assertArguments('nodePgMigrate', options)
  return defineNodePgMigrate(options, process)
}

/**
 * `typeorm migration:run`, by the project's own `typeorm`. The `DataSource` has to read `DATABASE_URL` or `DB_*`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote
 * @example
 * defineInfra({
 *   postgres: { migrations: typeorm({ dataSource: 'src/data-source.ts', folder: 'src/migrations' }) },
 * })
 */
export function typeorm(options: TypeOrmOptions): SeedStep {
  assertArguments('typeorm', options)
  return defineTypeOrm(options, process)
}

/**
 * `sequelize-cli db:migrate`, by the project's own `sequelize-cli`. The database given here wins over `config/config.json`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for arguments that it does not take
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote
 * @example
 * defineInfra({ postgres: { migrations: sequelize({ folder: 'db/migrations' }) } })
 */
export function sequelize(options: SequelizeOptions = {}): SeedStep {
  assertArguments('sequelize', options)
  return defineSequelize(options, process)
}

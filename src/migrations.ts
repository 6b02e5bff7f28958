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
 * Runs any command that migrates. The command finds the database in its environment, and programs in
 * `node_modules/.bin` as with `npm run`. No shell interprets it.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the command's output, if it fails, exceeds its timeout, or leaves the
 * database empty
 * @example
 * defineInfra({ postgres: { migrations: command(['npm', 'run', 'db:migrate'], { files: ['db'] }) } })
 */
export function command(words: readonly [string, ...string[]], options: CommandOptions): SeedStep {
  assertArguments('command', { words, ...options })
  return defineCommand(words, options, process)
}

/**
 * Runs `prisma migrate deploy` with the project's `prisma`. The project's schema or `prisma.config.ts` must read
 * `DATABASE_URL`, or the variable that `env` sets.
 *
 * The tests of this package replace Prisma's command by a script, as they cannot download its engine. They have never
 * run Prisma itself.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the output of the command
 * @example
 * defineInfra({ postgres: { migrations: prisma({ env: ({ url }) => ({ POSTGRES_PRISMA_URL: url }) }) } })
 */
export function prisma(options: PrismaOptions = {}): SeedStep {
  assertArguments('prisma', options)
  return definePrisma(options, process)
}

/**
 * Runs `knex migrate:latest` with the project's `knex`. The template's database and the option `folder` override the
 * knexfile.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the output of the command
 * @example
 * defineInfra({ postgres: { migrations: knex({ folder: 'db/migrations', nodeArgs: ['--import', 'tsx'] }) } })
 */
export function knex(options: KnexOptions = {}): SeedStep {
  assertArguments('knex', options)
  return defineKnex(options, process)
}

/**
 * Runs Kysely's migrations with the `Migrator` of the project's `kysely`, in a separate process.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the migration's name and the error
 * @example
 * defineInfra({ postgres: { migrations: kysely({ folder: 'src/db/migrations' }) } })
 */
export function kysely(options: KyselyOptions = {}): SeedStep {
  assertArguments('kysely', options)
  return defineKysely(options, process)
}

/**
 * Runs `node-pg-migrate up` with the project's `node-pg-migrate`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the output of the command
 * @example
 * defineInfra({ postgres: { migrations: nodePgMigrate({ folder: 'migrations' }) } })
 */
export function nodePgMigrate(options: NodePgMigrateOptions = {}): SeedStep {
  assertArguments('nodePgMigrate', options)
  return defineNodePgMigrate(options, process)
}

/**
 * Runs `typeorm migration:run` with the project's `typeorm`. The `DataSource` must read `DATABASE_URL` or `DB_*`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the output of the command
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
 * Runs `sequelize-cli db:migrate` with the project's `sequelize-cli`. The template's database overrides
 * `config/config.json`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with the output of the command
 * @example
 * defineInfra({ postgres: { migrations: sequelize({ folder: 'db/migrations' }) } })
 */
export function sequelize(options: SequelizeOptions = {}): SeedStep {
  assertArguments('sequelize', options)
  return defineSequelize(options, process)
}

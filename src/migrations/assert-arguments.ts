import * as v from 'valibot'
import { record, shape } from '../config/object-shape.ts'
import { assertShape, filled, positive, text } from '../config/options-schema.ts'
import { SQL_CONVENTIONS } from './sql-conventions.ts'

const words = v.array(text)
const paths = v.array(filled)
const env = v.union(
  [record(filled, v.optional(text)), v.function()],
  'must be an object of names and text, or a function',
)

const program = { cwd: filled, files: paths, env, timeoutMs: positive }
const tool = { ...program, nodeArgs: words, args: words }

/** Schemas of the arguments of each function of `vitest-infra/migrations`. */
const SHAPES = {
  command: shape({ words: v.pipe(words, v.nonEmpty('must not be empty')), ...program }, ['words', 'files']),
  drizzle: shape({ folder: filled, schema: filled, table: filled }),
  knex: shape({ ...tool, folder: filled, knexfile: filled }),
  kysely: shape({
    ...program,
    nodeArgs: words,
    folder: filled,
    migrator: record(filled, v.union([text, v.boolean()])),
  }),
  nodePgMigrate: shape({ ...tool, folder: filled }),
  pgDump: shape({ file: filled, missingRoles: v.picklist(['fail', 'skip']) }, ['file']),
  prisma: shape({ ...tool, folder: filled, schema: filled, config: filled }),
  sequelize: shape({ ...tool, folder: filled }),
  sqlFolder: shape(
    { folder: filled, convention: v.picklist(Object.keys(SQL_CONVENTIONS)), exclude: v.instance(RegExp) },
    ['folder'],
  ),
  typeorm: shape({ ...tool, dataSource: filled, folder: filled }, ['dataSource', 'folder']),
}

/**
 * Checks the arguments of a function of `vitest-infra/migrations` before any server starts. The error points to the
 * caller's line.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 */
export function assertArguments(name: keyof typeof SHAPES, given: unknown): void {
  assertShape(SHAPES[name], given, {
    subject: `the arguments of ${name}()`,
    remedy: `Correct them; the types of ${name}() list them`,
  })
}

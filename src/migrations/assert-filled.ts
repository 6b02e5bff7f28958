import type { SeedContext } from '../config/infra-options.ts'
import { InfraError } from '../errors.ts'

// PostgreSQL's own objects have OIDs below 16384. Objects of extensions existed before the tool ran.
const IS_FILLED = `
  WITH object (class, oid) AS (
    SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc
    UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typtype IN ('e', 'd', 'r')
    UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
  )
  SELECT EXISTS (
    SELECT FROM object
    WHERE oid >= 16384
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = object.oid AND deptype = 'e')
  ) AS filled`

/**
 * Checks that a tool created at least one table, type, function or schema in the database. If there is none, the tool
 * probably migrated another database, which a variable or the project's own configuration names.
 *
 * @throws InfraError `INFRA_SEED_FAILED` if the database has no such object
 */
export async function assertFilled({ pool }: Pick<SeedContext, 'pool'>, name: string): Promise<void> {
  const { rows } = await pool.query<{ filled: boolean }>(IS_FILLED)
  if (rows[0]?.filled !== true) {
    throw new InfraError('INFRA_SEED_FAILED', {
      problem: `Cannot fill the template: ${name} exited with code 0 but left the database empty`,
      detail: 'It found no migrations, or its own configuration names another database, in which it ran them',
      remedy:
        '({ NAME: url }) => Let that configuration read DATABASE_URL, or set the variable that it reads with: env: ({ url }) => ({ NAME: url }) => ({ NAME: url })',
      service: 'postgres',
    })
  }
}

import type { SeedContext } from '../config/infra-options.ts'
import { InfraError } from '../errors.ts'

// Objects with an OID from here on are not PostgreSQL's own. What an extension brought was there before the tool ran.
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
 * Fails when a tool ended well and yet left its database without a single table, type, function or schema: it then
 * worked on another one, which a variable or a configuration of the project's own names.
 *
 * @throws InfraError `INFRA_SEED_FAILED`
 */
export async function assertFilled({ pool }: Pick<SeedContext, 'pool'>, name: string): Promise<void> {
  const { rows } = await pool.query<{ filled: boolean }>(IS_FILLED)
  if (rows[0]?.filled !== true) {
    throw new InfraError('INFRA_SEED_FAILED', {
      problem: `Cannot fill the template: ${name} ended well, but there is nothing in the database`,
      detail: 'It found no migrations, or it ran them in another database, one that its own configuration names',
      remedy: 'Let that configuration read DATABASE_URL, or give its variable with: env: ({ url }) => ({ NAME: url })',
      service: 'postgres',
    })
  }
}

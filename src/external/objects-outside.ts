import type { Client } from 'pg'
import { OF_RUN } from '../internal/names.ts'

/**
 * Selects the objects that our role owns outside the schemas of runs. Extensions always count, as they belong to the
 * database and not to a schema.
 */
const OUTSIDE = `
  SELECT object.type || ' ' || object.identity AS object
  FROM (
    SELECT 'pg_namespace'::regclass AS catalog, oid, oid AS schema, nspowner AS owner FROM pg_namespace
    UNION ALL SELECT 'pg_class', oid, relnamespace, relowner FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL SELECT 'pg_proc', oid, pronamespace, proowner FROM pg_proc
    UNION ALL SELECT 'pg_type', oid, typnamespace, typowner FROM pg_type WHERE typtype IN ('e', 'd', 'r')
    UNION ALL SELECT 'pg_extension', oid, 0, extowner FROM pg_extension
  ) AS known
  LEFT JOIN pg_namespace n ON n.oid = known.schema
  CROSS JOIN LATERAL pg_identify_object(known.catalog, known.oid, 0) AS object
  WHERE pg_get_userbyid(known.owner) = current_user
    AND (n.nspname IS NULL OR n.nspname !~ '${OF_RUN}' AND n.nspname !~ '^pg_(toast|temp)')
  ORDER BY 1`

/** Lists the objects that our role owns in the database, except those in the schemas of runs. */
export async function listOutside(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ object: string }>(OUTSIDE)
  return rows.map(({ object }) => object)
}

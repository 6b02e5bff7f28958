import type { Client } from 'pg'
import { isNew, type Since } from './rows-written.ts'

/** Catalogs whose rows nobody writes who does not change the schema. */
const CATALOGS = [
  'pg_namespace',
  'pg_extension',
  'pg_attribute',
  'pg_attrdef',
  'pg_constraint',
  'pg_trigger',
  'pg_rewrite',
  'pg_policy',
  'pg_proc',
  'pg_type',
  'pg_enum',
  'pg_sequence',
  'pg_publication',
  'pg_event_trigger',
]

/** Holds for rows of pg_class that are neither the system's, nor a session's, nor a further file of another relation. */
export const IS_OF_SCHEMA = `oid >= 16384 AND relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace`

/** In pg_class a TRUNCATE or an index writes as well, so there it is the content that counts. */
const RELATIONS = `SELECT 'pg_class', 0, sum(hashtextextended(
    concat_ws(' ', oid, relname, relnamespace, relpersistence, relrowsecurity, relforcerowsecurity), 0))
  FROM pg_class WHERE ${IS_OF_SCHEMA}`

/** A cheap look at the catalogs of a database. */
export interface CatalogState {
  /** Whether somebody has written into them since. */
  readonly isWritten: boolean
  /** The same text for the same number of objects; deleting leaves no new row. */
  readonly sums: string
}

export async function readCatalogs(client: Client, since: Since): Promise<CatalogState> {
  const counts = CATALOGS.map(
    (catalog) => `SELECT '${catalog}', count(*) FILTER (WHERE ${isNew(since)}), count(*) FROM ${catalog}`,
  )
  const { rows } = await client.query<CatalogState>(
    `SELECT bool_or(written > 0) AS "isWritten", string_agg(catalog || ' ' || coalesce(sum, 0), ' ' ORDER BY catalog) AS sums
     FROM (${[...counts, RELATIONS].join(' UNION ALL ')}) AS state (catalog, written, sum)`,
  )
  return rows[0] ?? { isWritten: true, sums: '' }
}

import type { Client } from 'pg'

/** A column of a system catalog. */
export interface CatalogColumn {
  readonly name: string
  readonly type: string
  /** The catalog whose ids it holds; null if it holds no ids. */
  readonly references: string | null
  /** The column with the table to which its column numbers belong; null if it holds no column numbers. */
  readonly columnsOf: string | null
}

/** A system catalog, with the columns that describe a database. */
export interface Catalog {
  readonly name: string
  readonly isShared: boolean
  readonly columns: readonly CatalogColumn[]
  /** The columns by which PostgreSQL identifies a row, ids included; empty if only all columns do. */
  readonly rowKey: readonly string[]
  /** The columns by which a person identifies a row, such as name and schema. */
  readonly nameKey: readonly string[]
}

/**
 * Catalogs not to compare: they hold row data (restored as rows), ANALYZE results, and initial privileges of
 * extensions.
 */
const EXCLUDED = [
  'pg_init_privs',
  'pg_largeobject',
  'pg_largeobject_metadata',
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_subscription_rel',
]

/** An SQL condition for the rows of a shared catalog that describe this database; the others are the server's. */
export const OF_DATABASE: Readonly<Record<string, string>> = {
  pg_database: `oid = ${thisDatabase()}`,
  pg_db_role_setting: `setdatabase = ${thisDatabase()}`,
  pg_shdepend: `(dbid = ${thisDatabase()} OR (dbid = 0 AND classid = 'pg_database'::regclass AND objid = ${thisDatabase()}))`,
  pg_shdescription: `classoid = 'pg_database'::regclass AND objoid = ${thisDatabase()}`,
  pg_shseclabel: `classoid = 'pg_database'::regclass AND objoid = ${thisDatabase()}`,
  pg_subscription: `subdbid = ${thisDatabase()}`,
}

export function thisDatabase(): string {
  return '(SELECT oid FROM pg_database WHERE datname = current_database())'
}

/** Columns that may differ between equal databases: storage locations and statistics. */
const VOLATILE: Readonly<Record<string, readonly string[]>> = {
  pg_attribute: ['atthasmissing', 'attmissingval'],
  // The relhas… hints are set at once, but cleared only by a later vacuum.
  pg_class:
    `relfilenode relpages reltuples relallvisible relallfrozen reltoastrelid relhasindex relhasrules relhastriggers
    relhassubclass relispopulated relnatts relrewrite relfrozenxid relminmxid`.split(/\s+/),
  pg_database: ['datname', 'datallowconn', 'dathasloginevt', 'datfrozenxid', 'datminmxid'],
  pg_index: ['indcheckxmin'],
  pg_subscription: ['subskiplsn'],
}

/** Reads the list of catalogs from the server, so that catalogs of later versions are included. */
export async function readCatalogList(client: Client): Promise<readonly Catalog[]> {
  const { rows } = await client.query<{ knowsReferences: boolean }>(
    `SELECT to_regproc('pg_catalog.pg_get_catalog_foreign_keys') IS NOT NULL AS "knowsReferences"`,
  )
  const references = rows[0]?.knowsReferences ? 'pg_get_catalog_foreign_keys()' : NO_REFERENCES
  const { rows: catalogs } = await client.query<Catalog>(selectCatalogs(references), [
    EXCLUDED,
    Object.keys(OF_DATABASE),
  ])
  return catalogs.map((catalog) => {
    const volatile = VOLATILE[catalog.name] ?? []
    return { ...catalog, columns: catalog.columns.filter(({ name }) => !volatile.includes(name)) }
  })
}

/** PostgreSQL 13 lacks this function. A recreated object then counts as another one. */
const NO_REFERENCES = `(SELECT NULL::regclass AS fktable, '{}'::text[] AS fkcols, NULL::regclass AS pktable,
  false AS is_array WHERE false)`

function selectCatalogs(references: string): string {
  return `
    WITH reference AS (SELECT * FROM ${references})
    SELECT c.relname AS name, c.relisshared AS "isShared",
      (SELECT json_agg(json_build_object(
          'name', attname, 'type', format_type(atttypid, NULL),
          'references', coalesce(
            (SELECT min(pktable::text) FROM reference WHERE fktable = c.oid AND fkcols = ARRAY[attname::text]),
            CASE WHEN atttypid = 'regproc'::regtype THEN 'pg_proc' END),
          'columnsOf', (SELECT min(fkcols[1]) FROM reference WHERE fktable = c.oid AND fkcols[2] = attname::text)
        ) ORDER BY attnum)
       FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
      ${selectKey("key.columns = '{oid}' DESC, key.is_primary DESC")} AS "rowKey",
      ${selectKey("key.columns = '{oid}', key.has_name DESC, key.is_primary")} AS "nameKey"
    FROM pg_class c
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND c.relname <> ALL ($1)
      AND (NOT relisshared OR c.relname = ANY ($2))
    ORDER BY c.relname`
}

/** Selects the columns of the unique index that is first in the given order. */
function selectKey(order: string): string {
  return `coalesce((
    SELECT key.columns FROM (
      SELECT indexrelid, indisprimary AS is_primary, array_agg(attname::text ORDER BY place) AS columns,
        bool_or(atttypid = 'name'::regtype) AS has_name
      FROM pg_index, unnest(indkey::int2[]) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attnum = part.number
      WHERE indrelid = c.oid AND attrelid = c.oid AND indisunique GROUP BY indexrelid, indisprimary
    ) AS key ORDER BY ${order}, key.indexrelid LIMIT 1), '{}')`
}

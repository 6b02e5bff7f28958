import type { Client } from 'pg'

/** A column of a system catalog. */
export interface CatalogColumn {
  readonly name: string
  readonly type: string
  /** The catalog to which the ids in this column refer; null if it contains no ids. */
  readonly references: string | null
  /** If this column contains column numbers, the name of the column that identifies their table; otherwise null. */
  readonly columnsOf: string | null
}

/** A system catalog, with the columns that describe a database. */
export interface Catalog {
  readonly name: string
  readonly isShared: boolean
  readonly columns: readonly CatalogColumn[]
  /** The columns by which PostgreSQL identifies a row, including ids; empty if the catalog has no unique index. */
  readonly rowKey: readonly string[]
  /** The columns by which people identify a row, such as name and schema. */
  readonly nameKey: readonly string[]
}

/**
 * Catalogs that are not compared. They contain row data (restored as rows), ANALYZE results, and initial privileges of
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

/** SQL conditions, by shared catalog, for the rows that describe this database. The other rows describe the server. */
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

/** Columns, by catalog, that may differ between equal databases: storage locations and statistics. */
const VOLATILE: Readonly<Record<string, readonly string[]>> = {
  pg_attribute: ['atthasmissing', 'attmissingval'],
  // PostgreSQL sets the relhas… hints immediately, but clears them only in a later vacuum.
  pg_class:
    `relfilenode relpages reltuples relallvisible relallfrozen reltoastrelid relhasindex relhasrules relhastriggers
    relhassubclass relispopulated relnatts relrewrite relfrozenxid relminmxid`.split(/\s+/),
  pg_database: ['datname', 'datallowconn', 'dathasloginevt', 'datfrozenxid', 'datminmxid'],
  pg_index: ['indcheckxmin'],
  pg_subscription: ['subskiplsn'],
}

/** Reads the list of catalogs from the server, so that catalogs of later PostgreSQL versions are included. */
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

/**
 * Replaces pg_get_catalog_foreign_keys(), which PostgreSQL 13 does not have. A recreated object then counts as a
 * different one.
 */
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

/** Returns an SQL expression for the columns of the unique index that is first in the given order. */
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

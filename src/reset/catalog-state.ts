import type { Client } from 'pg'
import { type Catalog, OF_DATABASE } from './catalogs.ts'
import { storedValue } from './definition-rows.ts'
import { selectEach } from './reset-client.ts'
import { isNew, type Since } from './rows-written.ts'

/** A cheap summary of a database's catalogs. All fields are keyed by catalog name. */
export interface CatalogState {
  /** Names of the catalogs with new rows. */
  readonly written: ReadonlySet<string>
  /** Number of rows in each catalog. It reveals deletions, which leave no new row. */
  readonly counts: ReadonlyMap<string, number>
  /** Digest of each catalog's content; null unless PostgreSQL also writes to the catalog when no schema changes. */
  readonly sums: ReadonlyMap<string, string | null>
}

/** SQL condition for objects that users created, except temporary ones. */
const OF_USERS = "oid >= 16384 AND relpersistence <> 't'"

export async function readCatalogs(client: Client, catalogs: readonly Catalog[], since: Since): Promise<CatalogState> {
  const found = await selectEach<{ total: number; written: number; sum: string | null }>(
    client,
    catalogs.map((catalog) => selectState(catalog, since)),
  )
  const rows = catalogs.flatMap(({ name }, index) => (found[index] ?? []).map((row) => ({ name, ...row })))
  return {
    written: new Set(rows.flatMap(({ name, written }) => (written > 0 ? [name] : []))),
    counts: new Map(rows.map(({ name, total }) => [name, total])),
    sums: new Map(rows.map(({ name, sum }) => [name, sum])),
  }
}

/** Returns the catalogs that may have changed between the two states. */
export function findChanged(catalogs: readonly Catalog[], before: CatalogState, now: CatalogState): readonly Catalog[] {
  return catalogs.filter(
    ({ name }) =>
      now.written.has(name) ||
      now.counts.get(name) !== before.counts.get(name) ||
      now.sums.get(name) !== before.sums.get(name),
  )
}

function selectState(catalog: Catalog, since: Since): string {
  const { name, isShared, columns } = catalog
  const digest = `hashtextextended(ROW(${columns.map((column) => storedValue(catalog, column)).join()})::text, 0)`
  if (isShared) {
    return `SELECT 0 AS total, 0 AS written, sum(${digest})::text AS sum FROM ${name} WHERE ${OF_DATABASE[name]}`
  }
  // TRUNCATE also writes to pg_class, so its rows for user objects are compared by content.
  const isCounted = name === 'pg_class' ? `oid < 16384 AND ${isNew(since)}` : isNew(since)
  const sum = name === 'pg_class' ? `(sum(${digest}) FILTER (WHERE ${OF_USERS}))::text` : 'NULL'
  return `SELECT count(*)::float8 AS total, (count(*) FILTER (WHERE ${isCounted}))::float8 AS written, ${sum} AS sum FROM ${name}`
}

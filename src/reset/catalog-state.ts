import type { Client } from 'pg'
import { type Catalog, OF_DATABASE } from './catalogs.ts'
import { storedValue } from './definition-rows.ts'
import { selectEach } from './reset-client.ts'
import { isNew, type Since } from './rows-written.ts'

/** A cheap look at the catalogs of a database; by the names of catalogs. */
export interface CatalogState {
  /** Those that were written since. */
  readonly written: ReadonlySet<string>
  /** How many rows each has; deleting leaves no new row. */
  readonly counts: ReadonlyMap<string, number>
  /** Of those in which what does not change a schema writes as well: their content. */
  readonly sums: ReadonlyMap<string, string | null>
}

/** An ordinary object, and nothing of a session. */
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

/** The catalogs that may not be any more what they were at the look before. */
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
  // A TRUNCATE writes here, too.
  const isCounted = name === 'pg_class' ? `oid < 16384 AND ${isNew(since)}` : isNew(since)
  const sum = name === 'pg_class' ? `(sum(${digest}) FILTER (WHERE ${OF_USERS}))::text` : 'NULL'
  return `SELECT count(*)::float8 AS total, (count(*) FILTER (WHERE ${isCounted}))::float8 AS written, ${sum} AS sum FROM ${name}`
}

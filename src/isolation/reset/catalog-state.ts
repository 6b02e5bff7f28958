import type { Client } from 'pg'
import { type Catalog, OF_DATABASE } from './catalogs.ts'
import { storedValue } from './definition-rows.ts'
import { isNew, type Since } from './rows-written.ts'

/** A cheap look at the catalogs of a database. */
export interface CatalogState {
  /** Whether somebody has written into them since. */
  readonly isWritten: boolean
  /** How many rows each has; deleting leaves no new row. */
  readonly counts: Readonly<Record<string, number>>
  /** Of the catalogs in which what does not change a schema writes as well: their content. */
  readonly sums: string
}

/** An ordinary object, and nothing of a session. */
const OF_USERS = "oid >= 16384 AND relpersistence <> 't'"

export async function readCatalogs(client: Client, catalogs: readonly Catalog[], since: Since): Promise<CatalogState> {
  const { rows } = await client.query<{ catalog: string; total: number; written: number; sum: string | null }>(
    `SELECT catalog, total::float8, written::float8, sum::text
     FROM (${catalogs.map((catalog) => selectState(catalog, since)).join(' UNION ALL ')}) AS state (catalog, total, written, sum)`,
  )
  return {
    isWritten: rows.some(({ written }) => written > 0),
    counts: Object.fromEntries(rows.map(({ catalog, total }) => [catalog, total])),
    sums: rows.map(({ sum }) => sum ?? '').join(' '),
  }
}

/** Whether the definitions of a database are still those that they were. */
export function isSameState(before: CatalogState, now: CatalogState): boolean {
  const isCounted = Object.entries(now.counts).every(([catalog, count]) => before.counts[catalog] === count)
  return !now.isWritten && isCounted && before.sums === now.sums
}

function selectState(catalog: Catalog, since: Since): string {
  const { name, isShared, columns } = catalog
  const digest = `hashtextextended(ROW(${columns.map((column) => storedValue(catalog, column)).join()})::text, 0)`
  if (isShared) {
    return `SELECT '${name}', 0, 0, sum(${digest}) FROM ${name} WHERE ${OF_DATABASE[name]}`
  }
  if (name === 'pg_class') {
    // A TRUNCATE writes here, too.
    return `SELECT '${name}', count(*), count(*) FILTER (WHERE oid < 16384 AND ${isNew(since)}), sum(${digest}) FILTER (WHERE ${OF_USERS}) FROM ${name}`
  }
  return `SELECT '${name}', count(*), count(*) FILTER (WHERE ${isNew(since)}), NULL::numeric FROM ${name}`
}

import type { Client } from 'pg'
import { selectEach } from './reset-client.ts'

/** Which rows of a database are not its template's. Transaction ids are those that `xmin` shows, as text. */
export interface Since {
  /** The first transaction that came after the database was equal to its template. */
  readonly from: string
  /** Our own that made it so, `'0'` for none. */
  readonly own: string
}

/** Of a database of which nothing is known: any row may be new. */
export const EVERYTHING: Since = { from: '0', own: '0' }

/** An SQL condition that holds for rows, of tables and of catalogs, that were written since. */
export function isNew({ from, own }: Since, xmin = 'xmin'): string {
  // Its age is asked for once, not for each row.
  const isLate = `age(${xmin}) <= (SELECT age('${from}'::xid))`
  return own === '0' ? isLate : `${isLate} AND ${xmin} <> '${own}'::xid`
}

export interface RowCount {
  readonly rows: number
  /** How many of them were written since. */
  readonly written: number
}

/** Counts rows; names are qualified and quoted, and counts are in their order. */
export async function countRows(client: Client, names: readonly string[], since: Since): Promise<readonly RowCount[]> {
  const counts = names.map(
    (name) =>
      `SELECT count(*)::float8 AS rows, (count(*) FILTER (WHERE ${isNew(since)}))::float8 AS written FROM ONLY ${name}`,
  )
  return (await selectEach<RowCount>(client, counts)).flat()
}

/** Those of the relations that have pages in their file. Asked of the file: statistics come late and may be off. */
export async function findFilled(client: Client, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE (pg_stat_file(pg_relation_filepath(name::regclass), true)).size > 0',
    [names],
  )
  return new Set(rows.map(({ name }) => name))
}

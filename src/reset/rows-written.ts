import type { Client } from 'pg'
import { selectEach } from './reset-client.ts'

/** Distinguishes rows that a user wrote from rows of the template. Transaction ids are in the text form of `xmin`. */
export interface Since {
  /** Id of the first transaction after the database equalled its template. */
  readonly from: string
  /** Id of our own transaction that reset the database; `'0'` if there was no reset. */
  readonly own: string
}

/** A value for a database with an unknown history, in which every row counts as new. */
export const EVERYTHING: Since = { from: '0', own: '0' }

/** Returns an SQL condition that is true for rows of a table or catalog that were written after `since`. */
export function isNew({ from, own }: Since, xmin = 'xmin'): string {
  // The subquery computes the age of `from` only once, not for each row.
  const isLate = `age(${xmin}) <= (SELECT age('${from}'::xid))`
  return own === '0' ? isLate : `${isLate} AND ${xmin} <> '${own}'::xid`
}

export interface RowCount {
  readonly rows: number
  /** Number of rows that were written after `since`. */
  readonly written: number
}

/** Counts the rows of each relation, in the order of `names`, which are qualified and quoted. */
export async function countRows(client: Client, names: readonly string[], since: Since): Promise<readonly RowCount[]> {
  const counts = names.map(
    (name) =>
      `SELECT count(*)::float8 AS rows, (count(*) FILTER (WHERE ${isNew(since)}))::float8 AS written FROM ONLY ${name}`,
  )
  return (await selectEach<RowCount>(client, counts)).flat()
}

/**
 * Returns the names of the relations whose file has pages. Reads the file size, as statistics are delayed and inexact.
 */
export async function findFilled(client: Client, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE (pg_stat_file(pg_relation_filepath(name::regclass), true)).size > 0',
    [names],
  )
  return new Set(rows.map(({ name }) => name))
}

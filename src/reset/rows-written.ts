import type { Client } from 'pg'
import { selectEach } from './reset-client.ts'

/** Distinguishes rows that a user wrote from rows of the template. Transaction ids are in the text form of `xmin`. */
export interface Since {
  /** The first transaction after the database equalled its template. */
  readonly from: string
  /** Our own transaction that reset it; `'0'` if none did. */
  readonly own: string
}

/** For a database with unknown history: any row may be new. */
export const EVERYTHING: Since = { from: '0', own: '0' }

/** An SQL condition: whether a row of a table or catalog was written after `since`. */
export function isNew({ from, own }: Since, xmin = 'xmin'): string {
  // The subquery computes the age once, not for each row.
  const isLate = `age(${xmin}) <= (SELECT age('${from}'::xid))`
  return own === '0' ? isLate : `${isLate} AND ${xmin} <> '${own}'::xid`
}

export interface RowCount {
  readonly rows: number
  /** How many of the rows were written after `since`. */
  readonly written: number
}

/** Counts the rows of relations, in the given order; names are qualified and quoted. */
export async function countRows(client: Client, names: readonly string[], since: Since): Promise<readonly RowCount[]> {
  const counts = names.map(
    (name) =>
      `SELECT count(*)::float8 AS rows, (count(*) FILTER (WHERE ${isNew(since)}))::float8 AS written FROM ONLY ${name}`,
  )
  return (await selectEach<RowCount>(client, counts)).flat()
}

/** Returns the relations whose file has pages. Reads the file size, as statistics are delayed and inexact. */
export async function findFilled(client: Client, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE (pg_stat_file(pg_relation_filepath(name::regclass), true)).size > 0',
    [names],
  )
  return new Set(rows.map(({ name }) => name))
}

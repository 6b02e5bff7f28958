import type { Client } from 'pg'
import type { StoredRelation } from './stored-relations.ts'

const FIRST_BATCH = 20
const MAX_BATCH = 5_000
const BATCH_CHARACTERS = 4 * 1024 * 1024

/**
 * Copies all rows of a table into its empty counterpart, in the order in which they are stored. A row travels as the
 * text of its row type, which is exact for every type and for every kind of column.
 */
export async function copyRows(from: Client, to: Client, { name, columns }: StoredRelation): Promise<void> {
  const target = columns === '' ? name : `${name} (${columns})`
  const insert = `INSERT INTO ${target} OVERRIDING SYSTEM VALUE SELECT ${columns} FROM unnest($1::${name}[])`
  for await (const rows of readBatches(from, `SELECT t::text FROM ONLY ${name} AS t`)) {
    await to.query(insert, [rows.flat()])
  }
}

/** Reads the answer to a query with a cursor, as many rows at a time as make up some megabytes. */
export async function* readBatches(client: Client, query: string): AsyncGenerator<readonly (readonly unknown[])[]> {
  let size = FIRST_BATCH
  await client.query(`BEGIN READ ONLY; DECLARE batches NO SCROLL CURSOR FOR ${query}`)
  for (;;) {
    const { rows } = await client.query<unknown[]>({ text: `FETCH ${size} FROM batches`, rowMode: 'array' })
    if (rows.length > 0) {
      yield rows
    }
    if (rows.length < size) {
      break
    }
    size = Math.min(MAX_BATCH, Math.ceil((BATCH_CHARACTERS * rows.length) / textLength(rows)))
  }
  await client.query('COMMIT')
}

function textLength(rows: readonly (readonly unknown[])[]): number {
  return rows.flat().reduce((sum: number, value) => sum + (typeof value === 'string' ? value.length : 1_024), 1)
}

import type { Client } from 'pg'
import type { StoredRelation } from './stored-relations.ts'

const FIRST_BATCH = 100
const MAX_BATCH = 5_000
const BATCH_CHARACTERS = 4 * 1024 * 1024

/**
 * Copies all rows of a table into its empty counterpart, in the order in which they are stored. A row travels as the
 * text of its row type, which is exact for every type and for every kind of column.
 */
export async function copyRows(from: Client, to: Client, { name, columns }: StoredRelation): Promise<void> {
  const target = columns === '' ? name : `${name} (${columns})`
  await readInBatches<[string]>(from, `SELECT t::text FROM ONLY ${name} AS t`, async (rows) => {
    await to.query(`INSERT INTO ${target} OVERRIDING SYSTEM VALUE SELECT ${columns} FROM unnest($1::${name}[])`, [
      rows.map(([row]) => row),
    ])
  })
}

/** Reads the answer to a query with a cursor, as many rows at a time as make up some megabytes. */
export async function readInBatches<Row extends unknown[]>(
  client: Client,
  query: string,
  handle: (rows: Row[]) => Promise<void>,
): Promise<void> {
  let size = FIRST_BATCH
  await client.query(`BEGIN READ ONLY; DECLARE vitest_infra NO SCROLL CURSOR FOR ${query}`)
  for (;;) {
    const { rows } = await client.query<Row>({ text: `FETCH ${size} FROM vitest_infra`, rowMode: 'array' })
    if (rows.length > 0) {
      await handle(rows)
    }
    if (rows.length < size) {
      break
    }
    size = Math.min(MAX_BATCH, Math.ceil((BATCH_CHARACTERS * rows.length) / textLength(rows)))
  }
  await client.query('COMMIT')
}

function textLength(rows: unknown[][]): number {
  return rows.flat().reduce((sum: number, value) => sum + (typeof value === 'string' ? value.length : 1_024), 1)
}

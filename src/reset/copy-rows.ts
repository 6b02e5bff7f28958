import type { Client } from 'pg'
import type { OpenPristine } from './reset-client.ts'
import { type StoredRelation, WHOLE_ROW } from './stored-relations.ts'

const FIRST_BATCH = 20
const MAX_BATCH = 5_000
const BATCH_CHARACTERS = 4 * 1024 * 1024
/** Size limit for all cached tables of a template together. */
const CACHED_CHARACTERS = 4 * 1024 * 1024

/**
 * Copies rows from the pristine copy into empty tables, in stored order. Each row is sent as the text of its row type,
 * which is exact for every column type. Small tables are cached, as nearly every reset needs them.
 */
export class RowCopier {
  readonly #open: OpenPristine
  /** Cached rows by table name. */
  readonly #cached = new Map<string, readonly unknown[]>()
  #charactersLeft = CACHED_CHARACTERS

  constructor(open: OpenPristine) {
    this.#open = open
  }

  async copy(to: Client, tables: readonly StoredRelation[]): Promise<void> {
    // Each table is looked up only once, as a concurrent reset with the same template may add it to the cache
    // meanwhile.
    const known = tables.map((table) => ({ table, rows: this.#cached.get(table.name) }))
    for (const { table, rows } of known) {
      await (rows && insertRows(to, table, rows))
    }
    const unread = known.flatMap(({ table, rows }) => (rows ? [] : [table]))
    if (unread.length > 0) {
      await this.#open(async (from) => {
        for (const table of unread) {
          await this.#read(from, to, table)
        }
      })
    }
  }

  async #read(from: Client, to: Client, table: StoredRelation): Promise<void> {
    const { name } = table
    const batches: (readonly unknown[])[] = []
    let characters = 0
    for await (const batch of readBatches(from, `SELECT ${WHOLE_ROW} FROM ONLY ${name} AS t`)) {
      const rows = batch.flat()
      await insertRows(to, table, rows)
      characters += textLength(batch)
      if (characters <= this.#charactersLeft) {
        batches.push(rows)
      }
    }
    if (characters <= this.#charactersLeft && !this.#cached.has(name)) {
      this.#charactersLeft -= characters
      this.#cached.set(name, batches.flat())
    }
  }
}

async function insertRows(to: Client, { name, columns }: StoredRelation, rows: readonly unknown[]): Promise<void> {
  const target = columns === '' ? name : `${name} (${columns})`
  await to.query(`INSERT INTO ${target} OVERRIDING SYSTEM VALUE SELECT ${columns} FROM unnest($1::${name}[])`, [rows])
}

/** Reads the rows of a query with a cursor, in batches of a few megabytes. */
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

import type { Client } from 'pg'

/** The oid of a table with a foreign key, and that of the table that it references. */
export interface ForeignKey {
  readonly from: number
  readonly to: number
}

export async function readForeignKeys(client: Client): Promise<readonly ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `SELECT DISTINCT conrelid AS "from", confrelid AS "to" FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid`,
  )
  return rows
}

import type { Client } from 'pg'

/** A table with a foreign key, and the table that it references; both qualified and quoted. */
export interface ForeignKey {
  readonly from: string
  readonly to: string
}

export async function readForeignKeys(client: Client): Promise<readonly ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `SELECT DISTINCT format('%I.%I', fn.nspname, f.relname) AS "from", format('%I.%I', tn.nspname, t.relname) AS "to"
     FROM pg_constraint JOIN pg_class f ON f.oid = conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
       JOIN pg_class t ON t.oid = confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     WHERE contype = 'f' AND conrelid <> confrelid`,
  )
  return rows
}

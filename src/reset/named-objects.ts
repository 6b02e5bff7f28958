import type { Client } from 'pg'
import type { NamedRow } from './definition-rows.ts'

/** A database object that PostgreSQL can name. */
export interface NamedObject extends NamedRow {
  /** PostgreSQL's name for this kind of object, such as `table`, `table column` or `function`. */
  readonly type: string
  /** The object's name, qualified and quoted in the syntax of its kind. */
  readonly identity: string
  /** The object's name as an argument of `pg_get_object_address()`. It is the same in every database. */
  readonly names: readonly string[]
  readonly args: readonly string[]
  /** Whether PostgreSQL creates and drops this object together with another one. */
  readonly isPart: boolean
  /** Objects whose drop also drops this one, in the format of {@link addressOf}. */
  readonly owners: readonly string[]
}

/** Returns the objects that the rows describe, in the order of their creation. */
export async function nameObjects(client: Client, rows: readonly NamedRow[]): Promise<readonly NamedObject[]> {
  if (rows.length === 0) {
    return []
  }
  const { rows: named } = await client.query<Omit<NamedObject, keyof NamedRow> & { index: number }>(
    `SELECT index::int, i.type, i.identity, a.object_names AS names, a.object_args AS args,
       coalesce((SELECT bool_or(deptype IN ('i', 'e', 'P', 'S')) FROM pg_depend
         WHERE (classid, objid, objsubid) = (o.class, o.object, o.part)), false) AS "isPart",
       ARRAY(SELECT concat_ws(' ', refclassid, refobjid, refobjsubid) FROM pg_depend
         WHERE (classid, objid, objsubid) = (o.class, o.object, o.part) AND deptype IN ('a', 'i')) AS owners
     FROM unnest($1::oid[], $2::oid[], $3::int4[]) WITH ORDINALITY AS o (class, object, part, index),
       pg_identify_object(o.class, o.object, o.part) AS i,
       pg_identify_object_as_address(o.class, o.object, o.part) AS a
     WHERE i.identity IS NOT NULL ORDER BY o.object, o.part`,
    [rows.map((row) => row.class), rows.map(({ object }) => object), rows.map(({ part }) => part)],
  )
  return named.flatMap(({ index, ...name }) => {
    const row = rows[index - 1]
    return row ? [{ ...row, ...name }] : []
  })
}

export function addressOf({ class: kind, object, part }: Pick<NamedRow, 'class' | 'object' | 'part'>): string {
  return `${kind} ${object} ${part}`
}

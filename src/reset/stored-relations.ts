import type { Client } from 'pg'
import { countRows, findFilled, type Since } from './rows-written.ts'

/** A table or a materialised view with a file of its own, so not what is partitioned, foreign or temporary. */
export interface StoredRelation {
  readonly kind: 'table' | 'materialized view'
  /** Qualified and quoted; a test may have made it anew, so that its oid says nothing. */
  readonly name: string
  /** The columns that can be written, quoted and separated by commas. */
  readonly columns: string
  readonly rows: number
  /** Whether its file has pages, with rows or without. */
  readonly isFilled: boolean
  /** Whether PostgreSQL computes what it stores there, or a part of it: a materialised view, a generated column. */
  readonly isComputed: boolean
  /** False for a materialised view that was not filled from its query yet. */
  readonly isPopulated: boolean
}

/** A row `t` as its type prints it: `t::text` would be a column of that name, or what a cast of the user's makes of the row. */
export const WHOLE_ROW = 'record_out(t.*)::text'

/**
 * Identifies relations that have the same name and definition: by their ids, and how many columns they ever had. Both
 * change when two tables swap their names, and when a column is dropped and added again, which empties it.
 */
export interface Identities {
  /** In the order of the template's relations. */
  readonly relations: readonly string[]
  /** Of all composite types: one whose attribute was dropped and added again has emptied it in all tables. */
  readonly compositeTypes: string
}

const IDENTITY = "concat_ws(' ', c.oid, c.relnatts)"

export async function readIdentities(client: Client, relations: readonly StoredRelation[]): Promise<Identities> {
  const { rows } = await client.query<{ identity: string }>(
    `SELECT ${IDENTITY} AS identity FROM unnest($1::text[]) WITH ORDINALITY AS r (name, index)
     JOIN pg_class AS c ON oid = name::regclass ORDER BY index`,
    [relations.map(nameOf)],
  )
  const { rows: types } = await client.query<{ identities: string | null }>(
    `SELECT string_agg(${IDENTITY}, ', ' ORDER BY oid) AS identities FROM pg_class AS c WHERE relkind = 'c' AND oid >= 16384`,
  )
  return { relations: rows.map(({ identity }) => identity), compositeTypes: types[0]?.identities ?? '' }
}

/** Everything of a database that holds rows, in the order in which it was made. */
export async function readRelations(client: Client, since: Since): Promise<readonly StoredRelation[]> {
  const { rows: found } = await client.query<Omit<StoredRelation, 'rows' | 'isFilled'>>(`
    SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind,
      format('%I.%I', n.nspname, c.relname) AS name, c.relispopulated AS "isPopulated",
      c.relkind = 'm' OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attgenerated = 's') AS "isComputed",
      (SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), '') FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384 ORDER BY c.oid`)
  const filled = await findFilled(client, found.map(nameOf))
  const counted = found.filter(({ name, isPopulated }) => filled.has(name) && isPopulated)
  const counts = await countRows(client, counted.map(nameOf), since)
  const rowsOf = new Map(counted.map(({ name }, index) => [name, counts[index]?.rows]))
  return found.map((relation) => {
    const { name } = relation
    return { ...relation, isFilled: filled.has(name), rows: rowsOf.get(name) ?? 0 }
  })
}

/**
 * The relations whose rows are not those of the template any more. One that was empty is recognised by its file: pages
 * without rows, which a rollback leaves, count as written too, so that they do not add up. For the others, as many rows
 * as before and none of them new means: the same rows.
 */
export async function findWritten(
  client: Client,
  relations: readonly StoredRelation[],
  { since, before, now }: { readonly since: Since; readonly before: Identities; readonly now: Identities },
): Promise<readonly StoredRelation[]> {
  const areTypesSame = before.compositeTypes === now.compositeTypes
  const refilled = await findRefilled(client, relations)
  const replaced = new Set(
    relations.filter(
      (relation, index) => !areTypesSame || before.relations[index] !== now.relations[index] || refilled.has(relation),
    ),
  )
  const rest = relations.filter((relation) => !replaced.has(relation) && relation.isPopulated)
  const counted = rest.filter(({ isFilled }) => isFilled)
  const counts = await countRows(client, counted.map(nameOf), since)
  const filled = await findFilled(client, rest.filter(({ isFilled }) => !isFilled).map(nameOf))
  const rewritten = new Set(
    counted.filter(({ rows }, index) => counts[index]?.rows !== rows || counts[index].written > 0),
  )
  return relations.filter((relation) => replaced.has(relation) || rewritten.has(relation) || filled.has(relation.name))
}

/** Materialised views that were filled for the first time or were emptied, which cannot be read for a look. */
async function findRefilled(
  client: Client,
  relations: readonly StoredRelation[],
): Promise<ReadonlySet<StoredRelation>> {
  const views = relations.filter(({ kind }) => kind === 'materialized view')
  if (views.length === 0) {
    return new Set()
  }
  const { rows } = await client.query<{ isPopulated: boolean }>(
    `SELECT relispopulated AS "isPopulated" FROM unnest($1::text[]) WITH ORDINALITY AS view (name, index)
     JOIN pg_class ON oid = name::regclass ORDER BY index`,
    [views.map(nameOf)],
  )
  return new Set(views.filter(({ isPopulated }, index) => rows[index]?.isPopulated !== isPopulated))
}

function nameOf({ name }: { readonly name: string }): string {
  return name
}

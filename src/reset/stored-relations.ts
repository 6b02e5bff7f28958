import type { Client } from 'pg'
import { countRows, findFilled, type Since } from './rows-written.ts'

/** A table or materialised view that has a file. Partitioned, foreign and temporary tables are excluded. */
export interface StoredRelation {
  readonly kind: 'table' | 'materialized view'
  /** Name, qualified and quoted. Unlike the oid, it also identifies the relation after a test recreates it. */
  readonly name: string
  /** Names of the writable columns, quoted and separated by commas. */
  readonly columns: string
  readonly rows: number
  /** Whether the relation's file has pages, even if it has no rows. */
  readonly isFilled: boolean
  /** Whether PostgreSQL computes some of the values: in a materialised view, or in a generated column. */
  readonly isComputed: boolean
  /** False for a materialised view that was created WITH NO DATA and never refreshed. */
  readonly isPopulated: boolean
}

/**
 * SQL expression for a row `t` as text. In its place, `t::text` could refer to a column named `text` or use a cast that
 * the user defined.
 */
export const WHOLE_ROW = 'record_out(t.*)::text'

/**
 * Distinguishes relations with the same name and definition by their oid and by the number of columns they ever had.
 * The oid changes when two tables swap names. The number grows when a column is dropped and added again, which loses
 * its values.
 */
export interface Identities {
  /** Identity of each relation, in the order of the template's relations. */
  readonly relations: readonly string[]
  /**
   * Identities of all composite types. When an attribute is dropped and added again, its values are lost in every table
   * that uses the type.
   */
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

/** Returns all relations with their number of rows, in the order of creation. */
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
 * Returns the relations whose rows may differ from the template's. A relation whose file had no pages counts as written
 * if the file has pages, even without rows. A rollback leaves such pages, which would otherwise accumulate. Any other
 * relation counts as written if its number of rows differs or a row is new.
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

/**
 * Returns the materialised views that were populated or emptied since the template was read. A view that is not
 * populated cannot be queried.
 */
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

import type { Client } from 'pg'
import { selectSchema } from './schema-definitions.ts'

/** A part of a schema. */
export interface SchemaObject {
  /** The same for what has the same name. */
  readonly key: string
  readonly class: number
  readonly object: number
  readonly part: number
  /** A digest of what defines it. */
  readonly definition: string
}

/** By their keys. */
export type SchemaObjects = ReadonlyMap<string, SchemaObject>

export interface NamedObject extends SchemaObject {
  /** What PostgreSQL calls its kind: `table`, `table column`, `function`. */
  readonly type: string
  /** Qualified and quoted as its kind wants it. */
  readonly identity: string
  /** The parts of its name. */
  readonly names: readonly string[]
  /** Whether it comes and goes with another object. */
  readonly isPart: boolean
}

const TEMPORARY = /(?:^| )pg_(?:toast_)?temp(?:_\d+)?(?:\.|$)/

export async function readSchemaObjects(client: Client): Promise<SchemaObjects> {
  // Names are then qualified, whatever path the user's sessions have.
  const { rows: paths } = await client.query<{ path: string }>("SELECT current_setting('search_path') AS path")
  await client.query("SELECT set_config('search_path', 'pg_catalog', false)")
  const { rows } = await client.query<SchemaObject>(selectSchema())
  await client.query("SELECT set_config('search_path', $1, false)", [paths[0]?.path])
  return new Map(rows.map((row) => [row.key, row]))
}

/** What PostgreSQL calls them, in the order in which they were made; those that belong to a session are left out. */
export async function nameObjects(client: Client, objects: readonly SchemaObject[]): Promise<readonly NamedObject[]> {
  if (objects.length === 0) {
    return []
  }
  const { rows } = await client.query<Omit<NamedObject, keyof SchemaObject> & { index: number }>(
    `SELECT index::int, i.type, i.identity, a.object_names AS names, EXISTS (
       SELECT FROM pg_depend WHERE (classid, objid, objsubid) = (o.class, o.object, o.part) AND deptype IN ('i', 'e', 'P', 'S')
     ) AS "isPart"
     FROM unnest($1::oid[], $2::oid[], $3::int4[]) WITH ORDINALITY AS o (class, object, part, index),
       pg_identify_object(o.class, o.object, o.part) AS i,
       pg_identify_object_as_address(o.class, o.object, o.part) AS a
     WHERE i.identity IS NOT NULL ORDER BY o.object, o.part`,
    [objects.map((object) => object.class), objects.map(({ object }) => object), objects.map(({ part }) => part)],
  )
  return rows.flatMap(({ index, ...name }) => {
    const object = objects[index - 1]
    return object && !TEMPORARY.test(name.identity) ? [{ ...object, ...name }] : []
  })
}

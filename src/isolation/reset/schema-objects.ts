import type { Client } from 'pg'
import { IS_OF_SCHEMA } from './catalog-state.ts'

/** One row of a catalog that defines a part of the schema. */
export interface SchemaObject {
  /** The same for the same object of a template and its clones, which have their oids in common. */
  readonly key: string
  readonly class: number
  readonly object: number
  readonly part: number
  /** A digest of what defines it. */
  readonly definition: string
}

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

/** By their keys. */
export type SchemaObjects = ReadonlyMap<string, SchemaObject>

interface Catalog {
  /** Columns that do not define the object: how it is stored, what it was used for, privileges. */
  readonly ignored?: string
  readonly where?: string
  readonly key?: string
  /** What to name it by, unless it has a name of its own. */
  readonly class?: string
  readonly object?: string
  readonly part?: string
}

const KINDS_WITH_COLUMNS = `('r', 'p', 'v', 'm', 'f', 'c')`

const CATALOGS: Readonly<Record<string, Catalog>> = {
  // By its name: tests like to drop and create the schema "public".
  pg_namespace: { key: 'nspname', where: `nspname !~ '^pg_'`, ignored: 'oid, nspacl, nspowner' },
  pg_extension: { ignored: 'extconfig, extcondition' },
  pg_class: {
    where: IS_OF_SCHEMA,
    ignored: `relfilenode, relpages, reltuples, relallvisible, relallfrozen, relfrozenxid, relminmxid, reltoastrelid,
      relhasindex, relhasrules, relhastriggers, relhassubclass, relispopulated, relnatts, relchecks, relacl, reloptions,
      relrewrite, reltablespace`,
  },
  pg_attribute: {
    key: `attrelid || '.' || attnum`,
    class: 'pg_class',
    object: 'attrelid',
    part: 'attnum',
    where: `attrelid >= 16384 AND attnum > 0 AND NOT attisdropped
      AND (SELECT relkind IN ${KINDS_WITH_COLUMNS} FROM pg_class WHERE oid = attrelid)`,
    ignored: 'attcacheoff, attstattarget, attacl, attoptions, atthasmissing, attmissingval, attnum',
  },
  pg_attrdef: {},
  pg_constraint: {},
  pg_trigger: {},
  pg_rewrite: {},
  pg_policy: {},
  pg_proc: { ignored: 'proacl' },
  pg_type: { ignored: 'typacl' },
  pg_enum: { class: 'pg_type', object: 'enumtypid' },
  pg_sequence: { key: 'seqrelid', class: 'pg_class', object: 'seqrelid', where: 'seqrelid >= 16384' },
  pg_publication: {},
  pg_event_trigger: {},
}

const TEMPORARY = /(?:^| )pg_(?:toast_)?temp(?:_\d+)?(?:\.|$)/

export async function readSchemaObjects(client: Client): Promise<SchemaObjects> {
  const selects = Object.entries(CATALOGS).map(([catalog, details]) => selectFrom(catalog, details))
  const { rows } = await client.query<SchemaObject>(selects.join(' UNION ALL '))
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

function selectFrom(catalog: string, { ignored = '', where = 'oid >= 16384', ...by }: Catalog): string {
  const key = `'${catalog} ' || ${by.key ?? 'oid'} AS key`
  const address = `'${by.class ?? catalog}'::regclass::oid AS class, ${by.object ?? 'oid'} AS object, ${by.part ?? 0} AS part`
  const definition = `hashtextextended((to_jsonb(c) - '{${ignored}}'::text[])::text, 0)::text AS definition`
  return `SELECT ${key}, ${address}, ${definition} FROM ${catalog} AS c WHERE ${where}`
}

import type { Client } from 'pg'
import { type Catalog, type CatalogColumn, OF_DATABASE, thisDatabase } from './catalogs.ts'
import { selectEach } from './reset-client.ts'
import { isNew, type Since } from './rows-written.ts'

/** A catalog row as stored. A row of a database and the same row of a clone are equal if their digests are equal. */
export interface StoredRow {
  readonly catalog: string
  /** Location of the row in the catalog (ctid). */
  readonly place: string
  readonly key: string
  readonly digest: string
}

/** A catalog row with names instead of ids, so that the rows of a recreated object are equal. */
export interface NamedRow {
  readonly catalog: string
  readonly place: string
  readonly key: string
  readonly values: Readonly<Record<string, unknown>>
  /** The object that the row describes, as arguments of `pg_identify_object()`. */
  readonly class: number
  readonly object: number
  readonly part: number
}

/** Returns a query for all {@link StoredRow}s, or only for those written after `since`. */
function selectStored(catalog: Catalog, since?: Since): string {
  const digest = `hashtextextended(ROW(${catalog.columns.map((column) => storedValue(catalog, column)).join()})::text, 0)::text`
  const keys = catalog.rowKey.map((name) => storedValue(catalog, columnOf(catalog, name)))
  const key = keys.length > 0 ? `concat_ws(' ', ${keys.join()})` : digest
  const where = [OF_DATABASE[catalog.name], since && !catalog.isShared && isNew(since)].filter(Boolean)
  return `SELECT '${catalog.name}' AS catalog, ctid::text AS place, ${key} AS key, ${digest} AS digest
    FROM ${catalog.name} WHERE ${where.join(' AND ') || 'true'}`
}

/** Reads all {@link StoredRow}s, or only those written after `since`. */
export async function readStored(
  client: Client,
  catalogs: readonly Catalog[],
  since?: Since,
): Promise<readonly StoredRow[]> {
  const queries = catalogs.map((catalog) => selectStored(catalog, since))
  return (await selectEach<StoredRow>(client, queries)).flat()
}

/** Returns an SQL expression for a column, with values that can be compared between databases. */
export function storedValue({ isShared }: Catalog, { name, type }: CatalogColumn): string {
  if (type === 'regproc') {
    // The text of a regproc is a function name without arguments, which overloaded functions share.
    return `${name}::oid`
  }
  // The id of the database itself differs even between equal databases.
  return isShared && type === 'oid' ? `nullif(${name}, ${thisDatabase()})` : name
}

/** Reads {@link NamedRow}s at the given locations. */
export async function readNamed(
  client: Client,
  catalogs: readonly Catalog[],
  places: ReadonlyMap<string, readonly string[]>,
): Promise<readonly NamedRow[]> {
  const queries = catalogs.flatMap((catalog) => {
    const wanted = places.get(catalog.name) ?? []
    return wanted.length > 0 ? [selectNamed(catalog, wanted)] : []
  })
  return (await selectEach<NamedRow>(client, queries)).flat()
}

function selectNamed(catalog: Catalog, places: readonly string[]): string {
  const named = new Map(catalog.columns.map((column) => [column.name, namedValue(catalog, column)]))
  const keys = catalog.nameKey.length > 0 ? catalog.nameKey : [...named.keys()]
  const values = [...named].filter(([name]) => !keys.includes(name)).map(([name, value]) => `'${name}', ${value}`)
  const { class: kind, object, part } = addressOf(catalog)
  return `SELECT '${catalog.name}' AS catalog, ctid::text AS place,
      jsonb_build_array(${keys.map((name) => named.get(name) ?? 'NULL').join()})::text AS key,
      ${joinObjects(values)} AS values, ${kind}::oid AS class, ${object}::oid AS object, ${part}::int4 AS part
    FROM ${catalog.name} AS c WHERE ctid = ANY (ARRAY['${places.join("', '")}']::tid[]) AND ${OF_NO_TOAST[catalog.name] ?? 'true'}`
}

/**
 * Returns an SQL expression that builds a JSON object. It has two parts, as a PostgreSQL function takes at most 100
 * arguments.
 */
function joinObjects(pairs: readonly string[]): string {
  const half = Math.ceil(pairs.length / 2)
  return `jsonb_build_object(${pairs.slice(0, half).join()}) || jsonb_build_object(${pairs.slice(half).join()})`
}

/**
 * SQL conditions, by catalog, that exclude TOAST tables except for their options. PostgreSQL creates and drops these
 * tables automatically and names them after ids.
 */
const OF_NO_TOAST: Readonly<Record<string, string>> = {
  pg_class: `NOT (relkind = 'i' AND relnamespace = 'pg_toast'::regnamespace)`,
  pg_attribute: `NOT attisdropped AND ${isNoToast('attrelid')}`,
  pg_index: isNoToast('indexrelid'),
  pg_depend: `(classid <> 'pg_class'::regclass OR ${isNoToast('objid')})`,
}

function isNoToast(relation: string): string {
  return `(SELECT relnamespace <> 'pg_toast'::regnamespace FROM pg_class WHERE oid = ${relation})`
}

/** SQL expressions that render stored expressions as text, by column name. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  adbin: 'pg_get_expr(adbin, adrelid)',
  conbin: 'pg_get_constraintdef(oid)',
  ev_action: 'pg_get_ruledef(oid)',
  ev_qual: 'pg_get_ruledef(oid)',
  indexprs: 'pg_get_indexdef(indexrelid)',
  indpred: 'pg_get_indexdef(indexrelid)',
  partexprs: 'pg_get_partkeydef(partrelid)',
  polqual: 'pg_get_expr(polqual, polrelid)',
  polwithcheck: 'pg_get_expr(polwithcheck, polrelid)',
  proargdefaults: 'pg_get_functiondef(oid)',
  prosqlbody: 'pg_get_functiondef(oid)',
  prqual: 'pg_get_expr(prqual, prrelid)',
  relpartbound: 'pg_get_expr(relpartbound, oid)',
  stxexprs: 'pg_get_statisticsobjdef(oid)',
  tgqual: 'pg_get_triggerdef(oid)',
  typdefaultbin: 'pg_get_expr(typdefaultbin, 0)',
}

/** SQL expressions for columns whose raw value differs after an object is recreated, by catalog and column name. */
const READ_AS: Readonly<Record<string, string>> = {
  // PostgreSQL never reuses a column number, so the position among the existing columns is compared instead.
  'pg_attribute.attnum': `CASE WHEN attnum < 0 THEN attnum ELSE (SELECT count(*) FROM pg_attribute AS other
    WHERE other.attrelid = c.attrelid AND other.attnum BETWEEN 1 AND c.attnum AND NOT other.attisdropped) END`,
  'pg_class.relname': `CASE WHEN relkind = 't' THEN (SELECT 'of ' || ${nameOf('pg_class', 'owner.oid')}
    FROM pg_class AS owner WHERE owner.reltoastrelid = c.oid) ELSE relname END`,
  'pg_enum.enumsortorder': `(SELECT count(*) FROM pg_enum AS other
    WHERE other.enumtypid = c.enumtypid AND other.enumsortorder <= c.enumsortorder)`,
  // PostgreSQL names the triggers of a constraint after ids, so the names of constraint and function are compared
  // instead.
  'pg_trigger.tgname': `CASE WHEN tgisinternal AND tgconstraint <> 0
    THEN concat_ws(' ', ${nameOf('pg_constraint', 'tgconstraint')}, ${nameOf('pg_proc', 'tgfoid')}) ELSE tgname END`,
}

/** Columns that together identify an object: its catalog, its id and its column number. */
const OBJECTS = [
  { class: 'classid', object: 'objid', part: 'objsubid' },
  { class: 'classoid', object: 'objoid', part: 'objsubid' },
  { class: 'refclassid', object: 'refobjid', part: 'refobjsubid' },
] as const

function namedValue(catalog: Catalog, column: CatalogColumn): string {
  const { name, type, references, columnsOf } = column
  const special = READ_AS[`${catalog.name}.${name}`] ?? (type === 'pg_node_tree' ? EXPRESSIONS[name] : undefined)
  if (special !== undefined) {
    return type === 'pg_node_tree' ? `CASE WHEN ${name} IS NOT NULL THEN ${special} END` : special
  }
  const pair = OBJECTS.find(({ object }) => object === name)
  if (pair) {
    const part = hasColumn(catalog, pair.part) ? pair.part : '0'
    return nameOf(pair.class, storedValue(catalog, column), part)
  }
  if (name === 'oid' || OBJECTS.some(({ part }) => part === name)) {
    return 'NULL::text'
  }
  if (type === 'aclitem[]') {
    return privilegesOf(catalog, name)
  }
  const isList = type.endsWith('[]') || type.endsWith('vector')
  if (columnsOf !== null) {
    return isList ? eachOf(`${name}::int2[]`, columnName(columnsOf, 'item.id')) : columnName(columnsOf, name)
  }
  if (references === null) {
    return name
  }
  return isList
    ? eachOf(`${name}::oid[]`, nameOf(references, 'item.id'))
    : nameOf(references, storedValue(catalog, column))
}

/** For each catalog, the object type for `acldefault()` and the column with the owner. */
const PRIVILEGES: Readonly<Record<string, readonly [kind: string, owner: string]>> = {
  pg_class: [`CASE relkind WHEN 'S' THEN 's' ELSE 'r' END`, 'relowner'],
  pg_database: [`'d'`, 'datdba'],
  pg_foreign_data_wrapper: [`'F'`, 'fdwowner'],
  pg_foreign_server: [`'S'`, 'srvowner'],
  pg_language: [`'l'`, 'lanowner'],
  pg_namespace: [`'n'`, 'nspowner'],
  pg_proc: [`'f'`, 'proowner'],
  pg_type: [`'T'`, 'typowner'],
}

/**
 * Returns an SQL expression for privileges. After a grant and its revocation, PostgreSQL stores the default privileges
 * instead of null; both mean the same.
 */
function privilegesOf({ name: catalog }: Catalog, column: string): string {
  const [kind, owner] = PRIVILEGES[catalog] ?? []
  const acl = kind === undefined ? column : `coalesce(${column}, acldefault((${kind})::"char", ${owner}))`
  return `(SELECT jsonb_agg(to_jsonb(item)) FROM (SELECT grantor::regrole, grantee::regrole, privilege_type, is_grantable
    FROM aclexplode(${acl}) ORDER BY 1, 2, 3, 4) AS item)`
}

function eachOf(list: string, name: string): string {
  return `(SELECT jsonb_agg(${name} ORDER BY item.place) FROM unnest(${list}) WITH ORDINALITY AS item (id, place))`
}

function columnName(table: string, number: string): string {
  return `coalesce((SELECT attname::text FROM pg_attribute WHERE attrelid = c.${table} AND attnum = ${number}), ${number}::text)`
}

/**
 * Returns an SQL expression for an object's identity. `catalog` is the name of a catalog, or of a column with the
 * catalog's id.
 */
function nameOf(catalog: string, id: string, part = '0'): string {
  const kind = catalog.startsWith('pg_') ? `'${catalog}'::regclass` : catalog
  const identity = `(pg_identify_object(${kind}, ${id}, ${part})).identity`
  return `CASE WHEN ${id} <> 0 THEN regexp_replace(${identity}, '(ConstraintTrigger_[a-z]*)_?\\d+', '\\1') END`
}

/** Returns SQL expressions that identify the object that a row of the catalog describes. */
function addressOf(catalog: Catalog): Pick<Record<keyof NamedRow, string>, 'class' | 'object' | 'part'> {
  const pair = OBJECTS.find((names) => hasColumn(catalog, names.class))
  if (pair) {
    return { class: pair.class, object: pair.object, part: hasColumn(catalog, pair.part) ? pair.part : '0' }
  }
  switch (catalog.name) {
    case 'pg_attribute':
      return { class: `'pg_class'::regclass`, object: 'attrelid', part: 'attnum' }
    case 'pg_attrdef':
      return { class: `'pg_class'::regclass`, object: 'adrelid', part: 'adnum' }
    case 'pg_rewrite': {
      // PostgreSQL stores a view's definition as the rule _RETURN, so a change of this rule is reported for the view.
      const isView = "rulename = '_RETURN'"
      return {
        class: `CASE WHEN ${isView} THEN 'pg_class'::regclass ELSE 'pg_rewrite'::regclass END`,
        object: `CASE WHEN ${isView} THEN ev_class ELSE oid END`,
        part: '0',
      }
    }
    case 'pg_enum':
      return { class: `'pg_type'::regclass`, object: 'enumtypid', part: '0' }
    default:
      break
  }
  const [first = 'oid'] = catalog.rowKey
  const owner = first === 'oid' ? undefined : catalog.columns.find(({ name }) => name === first)?.references
  return { class: `'${owner ?? catalog.name}'::regclass`, object: `${first}::oid`, part: '0' }
}

function columnOf({ columns }: Catalog, name: string): CatalogColumn {
  return columns.find((column) => column.name === name) ?? { name, type: '', references: null, columnsOf: null }
}

function hasColumn({ columns }: Catalog, name: string): boolean {
  return columns.some((column) => column.name === name)
}

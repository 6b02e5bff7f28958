import type { Client } from 'pg'
import type { CatalogState } from './catalog-state.ts'
import type { Catalog } from './catalogs.ts'
import { type NamedRow, readNamed, readStored, type StoredRow } from './definition-rows.ts'
import type { PristineCopy } from './pristine-copy.ts'
import type { Since } from './rows-written.ts'

/** A catalog row that differs from the template's. */
export interface Difference {
  /** The row in the database; undefined if it was removed. */
  readonly present?: NamedRow
  /** The row in the template; undefined if it was added. */
  readonly wanted?: NamedRow
  /** The columns that differ, if both rows exist. */
  readonly columns: readonly string[]
}

/** Row locations (ctid) by catalog name. */
type Places = Map<string, string[]>

/** Matches objects in temporary schemas. */
const TEMPORARY = /["( ]pg_(?:toast_)?temp(?:_\d+)?[".]/

export interface ComparedDefinitions {
  /** The catalogs to compare. */
  readonly catalogs: readonly Catalog[]
  /** Current number of rows in each catalog. */
  readonly counts: CatalogState['counts']
  readonly since: Since
}

/**
 * Compares all definitions of a database with the pristine copy of its template. Rows that were not written after
 * `since` count as equal. Other rows are compared by name, but only if their stored form differs.
 */
export async function compareDefinitions(
  client: Client,
  pristine: PristineCopy,
  { catalogs, counts, since }: ComparedDefinitions,
): Promise<readonly Difference[]> {
  const written = Map.groupBy(await readStored(client, catalogs, since), ({ catalog }) => catalog)
  const touched = catalogs.filter(
    ({ name }) => written.has(name) || counts.get(name) !== pristine.content.state.counts.get(name),
  )
  const wanted = await pristine.storedRows(touched)
  const [places, wantedPlaces]: [Places, Places] = [new Map(), new Map()]
  for (const catalog of touched) {
    const { name } = catalog
    const known = wanted.get(name) ?? new Map<string, StoredRow>()
    const rows = written.get(name) ?? []
    const changed = rows.filter(({ key, digest }) => known.get(key)?.digest !== digest)
    const added = rows.filter(({ key }) => !known.has(key)).length
    const [present = 0, before] = catalog.isShared
      ? [rows.length, known.size]
      : [counts.get(name), pristine.content.state.counts.get(name)]
    const isComplete = present - added === before
    const keys = isComplete ? undefined : new Set((await readStored(client, [catalog])).map(({ key }) => key))
    const removed = keys ? [...known.values()].filter(({ key }) => !keys.has(key)) : []
    places.set(name, changed.map(placeOf))
    wantedPlaces.set(name, [...changed.flatMap(({ key }) => known.get(key) ?? []), ...removed].map(placeOf))
  }
  return diff(
    hasPlaces(places) ? await readQualified(client, touched, places) : [],
    hasPlaces(wantedPlaces) ? await pristine.open((copy) => readQualified(copy, touched, wantedPlaces)) : [],
  )
}

function hasPlaces(places: Places): boolean {
  return [...places.values()].some(({ length }) => length > 0)
}

/** Reads with only `pg_catalog` in the search path, so that the names of all other objects are qualified. */
async function readQualified(
  client: Client,
  catalogs: readonly Catalog[],
  places: Places,
): Promise<readonly NamedRow[]> {
  const { rows: paths } = await client.query<{ path: string }>("SELECT current_setting('search_path') AS path")
  await client.query("SELECT set_config('search_path', 'pg_catalog', false)")
  const rows = await readNamed(client, catalogs, places)
  await client.query("SELECT set_config('search_path', $1, false)", [paths[0]?.path])
  return rows.filter(({ key }) => !TEMPORARY.test(key))
}

function diff(present: readonly NamedRow[], wanted: readonly NamedRow[]): readonly Difference[] {
  // Several triggers of one constraint have the same name.
  const left = Map.groupBy(wanted, nameOf)
  const differences: Difference[] = []
  for (const row of present) {
    const other = left.get(nameOf(row))?.shift()
    const columns = other ? differingColumns(row, other) : []
    if (!other || columns.length > 0) {
      differences.push({ present: row, ...(other && { wanted: other }), columns })
    }
  }
  return [...differences, ...[...left.values()].flat().map((row) => ({ wanted: row, columns: [] }))]
}

function differingColumns(one: NamedRow, other: NamedRow): string[] {
  return Object.keys(one.values).filter(
    (name) => JSON.stringify(one.values[name]) !== JSON.stringify(other.values[name]),
  )
}

function nameOf({ catalog, key }: NamedRow): string {
  return `${catalog} ${key}`
}

function placeOf({ place }: StoredRow): string {
  return place
}

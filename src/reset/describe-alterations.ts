import type { Client } from 'pg'
import type { Difference } from './compare-definitions.ts'
import type { NamedRow } from './definition-rows.ts'
import { addressOf, nameObjects, type NamedObject } from './named-objects.ts'
import type { PristineCopy } from './pristine-copy.ts'

/** What rows of catalogs are about that say something about an object. */
const SUBJECTS: Readonly<Record<string, string>> = {
  pg_db_role_setting: 'settings',
  pg_description: 'comment',
  pg_init_privs: 'privileges',
  pg_seclabel: 'security label',
  pg_shdescription: 'comment',
  pg_shseclabel: 'security label',
}

/** What columns are about; the others make up the definition of an object. */
const ASPECTS: readonly (readonly [RegExp, string])[] = [
  [/acl$/, 'privileges'],
  [/(?:owner|dba)$/, 'owner'],
  [/options$/, 'options'],
  [/stattarget$/, 'statistics target'],
  [/^attstorage$/, 'storage'],
  [/^attcompression$/, 'compression'],
  [/clustered$/, 'clustered'],
  [/connlimit$/, 'connection limit'],
  [/enabled$/, 'enabled'],
  [/rowsecurity$/, 'row security'],
  [/replident$/, 'replica identity'],
]

/** Rows that follow from others, and that no statement of the user named. */
const CONSEQUENCES = ['pg_depend', 'pg_shdepend']

/** Names each object once, with what was altered of it: `table public.users (comment, privileges)`. */
export async function describeAlterations(
  client: Client,
  pristine: PristineCopy,
  differences: readonly Difference[],
): Promise<readonly string[]> {
  if (differences.length === 0) {
    return []
  }
  const causes = differences.filter(({ present, wanted }) => !CONSEQUENCES.includes((present ?? wanted)?.catalog ?? ''))
  const told = causes.length > 0 ? causes : differences
  const gone = told.filter(({ wanted, present }) => wanted && !present)
  const there = told.filter(({ present }) => present)
  const lost = await pristine.open((copy) => nameObjects(copy, rowsOf(gone)))
  const found = await nameObjects(client, rowsOf(there))
  const objects = [...lost, ...found]
  const relations = new Set(
    told.filter(isRelation).map(({ present, wanted }) => addressOf((present ?? wanted) as NamedRow)),
  )
  // The columns of a table go without saying where the table is named, those that every table has in any case.
  const wholes = objects.filter(
    (object) =>
      !object.isPart && object.part >= 0 && (object.part === 0 || !relations.has(addressOf({ ...object, part: 0 }))),
  )
  const aspects = new Map<string, Set<string>>()
  for (const object of (wholes.length > 0 ? wholes : objects).toSorted(byKind)) {
    const name = `${object.type} ${object.identity}`
    const known = aspects.get(name) ?? new Set()
    aspects.set(name, known)
    aspectsOf(object, told).forEach((aspect) => known.add(aspect))
  }
  return [...aspects].map(([name, known]) => (known.size > 0 ? `${name} (${[...known].toSorted().join(', ')})` : name))
}

/** Whether a relation is there that should not be, or is not there that should. */
function isRelation({ present, wanted }: Difference): boolean {
  return (present ?? wanted)?.catalog === 'pg_class' && !(present && wanted)
}

/** What people know best comes first. */
function byKind(one: NamedObject, other: NamedObject): number {
  return rankOf(one) - rankOf(other)
}

function rankOf({ type }: NamedObject): number {
  const rank = KINDS.indexOf(type)
  return rank === -1 ? KINDS.length : rank
}

const KINDS = 'schema,extension,table,view,materialized view,foreign table,function,procedure,table column'.split(',')

function rowsOf(differences: readonly Difference[]): readonly NamedRow[] {
  const rows = differences.flatMap(({ present, wanted }) => present ?? wanted ?? [])
  return [...new Map(rows.map((row) => [addressOf(row), row])).values()]
}

function aspectsOf(object: NamedObject, differences: readonly Difference[]): readonly string[] {
  const address = addressOf(object)
  return differences.flatMap(({ present, wanted, columns }) => {
    const row = present ?? wanted
    if (!row || addressOf(row) !== address) {
      return []
    }
    const subject = SUBJECTS[row.catalog]
    return subject === undefined ? columns.map(aspectOf) : [subject]
  })
}

function aspectOf(column: string): string {
  return ASPECTS.find(([pattern]) => pattern.test(column))?.[1] ?? 'definition'
}

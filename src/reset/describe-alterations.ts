import type { Client } from 'pg'
import type { Difference } from './compare-definitions.ts'
import type { NamedRow } from './definition-rows.ts'
import { addressOf, nameObjects, type NamedObject } from './named-objects.ts'
import type { PristineCopy } from './pristine-copy.ts'

/** The aspect of an object that each of these catalogs describes. */
const SUBJECTS: Readonly<Record<string, string>> = {
  pg_db_role_setting: 'settings',
  pg_description: 'comment',
  pg_init_privs: 'privileges',
  pg_seclabel: 'security label',
  pg_shdescription: 'comment',
  pg_shseclabel: 'security label',
}

/** Patterns of column names and the aspect that these columns describe. All other columns describe the definition. */
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

/** Catalogs whose rows change only as a consequence of other changes. */
const CONSEQUENCES = ['pg_depend', 'pg_shdepend']

/** Describes each altered object once, with its altered aspects: `table public.users (comment, privileges)`. */
export async function describeAlterations(
  client: Client,
  pristine: PristineCopy,
  differences: readonly Difference[],
): Promise<readonly string[]> {
  if (differences.length === 0) {
    return []
  }
  const causes = differences.filter(({ present, wanted }) => !CONSEQUENCES.includes((present ?? wanted)?.catalog ?? ''))
  const reported = causes.length > 0 ? causes : differences
  const removed = reported.filter(({ wanted, present }) => wanted && !present)
  const changed = reported.filter(({ present }) => present)
  const lost = await pristine.open((copy) => nameObjects(copy, rowsOf(removed)))
  const found = await nameObjects(client, rowsOf(changed))
  const objects = [...lost, ...found]
  const relations = new Set(
    reported.filter(isRelation).map(({ present, wanted }) => addressOf((present ?? wanted) as NamedRow)),
  )
  // Omits system columns, and the columns of a table that was added or removed as a whole.
  const wholes = objects.filter(
    (object) =>
      !object.isPart && object.part >= 0 && (object.part === 0 || !relations.has(addressOf({ ...object, part: 0 }))),
  )
  const aspects = new Map<string, Set<string>>()
  for (const object of (wholes.length > 0 ? wholes : objects).toSorted(byKind)) {
    const name = `${object.type} ${object.identity}`
    const known = aspects.get(name) ?? new Set()
    aspects.set(name, known)
    aspectsOf(object, reported).forEach((aspect) => known.add(aspect))
  }
  return [...aspects].map(([name, known]) => (known.size > 0 ? `${name} (${[...known].toSorted().join(', ')})` : name))
}

/** Whether a whole relation was added or removed. */
function isRelation({ present, wanted }: Difference): boolean {
  return (present ?? wanted)?.catalog === 'pg_class' && !(present && wanted)
}

/** Compares two objects for sorting: the best-known kinds come first. */
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

import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import { quote } from '../services/postgres-admin.ts'
import { type CatalogState, findChanged, readCatalogs } from './catalog-state.ts'
import type { Catalog } from './catalogs.ts'
import { compareDefinitions, type Difference } from './compare-definitions.ts'
import { describeAlterations } from './describe-alterations.ts'
import { addressOf, nameObjects, type NamedObject } from './named-objects.ts'
import type { PristineCopy } from './pristine-copy.ts'
import { restorePublicSchema } from './public-schema.ts'
import type { Since } from './rows-written.ts'

const OBJECTS_NAMED = 5

/** Kinds of objects that contain others. They are dropped first, as CASCADE also drops their contents. */
const CONTAINERS = 'schema,extension,foreign-data wrapper,server,table,view,materialized view,foreign table'.split(',')
const ROUTINES = ['function', 'procedure', 'aggregate']
/** Kinds that `DROP` accepts by identity, as in `DROP TRIGGER name ON table`. */
const DROPPABLE = [
  ...CONTAINERS,
  ...ROUTINES,
  ...'sequence,type,index,trigger,rule,policy,publication,event trigger,cast,collation,conversion,language'.split(','),
  ...'operator,operator class,operator family,access method,statistics object'.split(','),
  ...'text search configuration,text search dictionary,text search parser,text search template'.split(','),
]

export interface WantedSchema {
  readonly database: string
  readonly pristine: PristineCopy
  readonly catalogs: readonly Catalog[]
  /** State of the catalogs when the database last equalled its template; undefined if it never did. */
  readonly before: CatalogState | undefined
  /** Current state of the catalogs. */
  readonly state: CatalogState
  /** Rows that were written after this point were written by the user. */
  readonly since: Since
  /** Path of the test file that used the database. */
  readonly file: string
}

export interface RestoredSchema {
  /** Dropped objects, such as `table public.scratch`. */
  readonly dropped: readonly string[]
  readonly state: CatalogState
}

/**
 * Drops all objects that the template does not have.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if other differences remain because an object of the template was altered or
 * dropped
 */
export async function restoreSchema(client: Client, wanted: WantedSchema): Promise<RestoredSchema> {
  const { pristine, catalogs, before, since } = wanted
  const compare = (now: CatalogState) =>
    compareDefinitions(client, pristine, {
      catalogs: before ? findChanged(catalogs, before, now) : catalogs,
      counts: now.counts,
      since,
    })
  let state = (await restorePublicSchema(client, pristine.content.publicSchema))
    ? await readCatalogs(client, catalogs, since)
    : wanted.state
  const found = await compare(state)
  const roots = await findAdded(client, found, wanted)
  const statements = roots.toSorted((one, other) => rankOf(one) - rankOf(other)).flatMap(dropStatement)
  let left = found
  if (statements.length > 0) {
    await client.query(statements.join('; '))
    state = await readCatalogs(client, catalogs, since)
    left = await compare(state)
  }
  if (left.length > 0) {
    throw schemaAltered(wanted, await describeAlterations(client, pristine, left))
  }
  const dropped = roots.filter(({ type }) => DROPPABLE.includes(type) || type.startsWith('table ')).map(nameOf)
  return { dropped, state }
}

/** Returns the objects that the template lacks, except those that CASCADE drops together with another one. */
async function findAdded(
  client: Client,
  differences: readonly Difference[],
  { catalogs }: WantedSchema,
): Promise<readonly NamedObject[]> {
  const ofObjects = new Set(catalogs.filter(isOfObjects).map(({ name }) => name))
  const added = differences.flatMap(({ present, wanted }) =>
    present && !wanted && ofObjects.has(present.catalog) ? [present] : [],
  )
  const objects = await nameObjects(client, added)
  const addresses = new Set(objects.map(addressOf))
  return objects.filter(({ isPart, part, class: kind, object, owners }) => {
    const whole = addressOf({ class: kind, object, part: 0 })
    const isWithin = (part !== 0 && addresses.has(whole)) || owners.some((owner) => isKnown(addresses, owner))
    return !isPart && !isWithin
  })
}

/** Whether the set contains the object, or the whole object to which it belongs. */
function isKnown(addresses: ReadonlySet<string>, address: string): boolean {
  return addresses.has(address) || addresses.has(address.replace(/\d+$/, '0'))
}

/** Whether each row of the catalog describes an object, not only an attribute of one. */
function isOfObjects({ name, columns }: Catalog): boolean {
  return name === 'pg_attribute' || (columns.some((column) => column.name === 'oid') && !NO_OBJECTS.includes(name))
}

const NO_OBJECTS = ['pg_attrdef', 'pg_enum', 'pg_default_acl', 'pg_database', 'pg_subscription']

function rankOf({ type }: NamedObject): number {
  const rank = CONTAINERS.indexOf(type)
  return rank === -1 ? CONTAINERS.length : rank
}

function dropStatement({ type, identity, names }: NamedObject): string[] {
  const [schema = '', table = '', part = ''] = names
  switch (type) {
    case 'table column':
      return [`ALTER TABLE IF EXISTS ${quote(schema)}.${quote(table)} DROP COLUMN IF EXISTS ${quote(part)} CASCADE`]
    case 'table constraint':
      return [`ALTER TABLE IF EXISTS ${quote(schema)}.${quote(table)} DROP CONSTRAINT IF EXISTS ${quote(part)} CASCADE`]
    case 'statistics object':
      return [`DROP STATISTICS IF EXISTS ${identity} CASCADE`]
    default:
      break
  }
  const kind = ROUTINES.includes(type) ? 'routine' : type.replaceAll('-', ' ')
  return DROPPABLE.includes(type) ? [`DROP ${kind} IF EXISTS ${identity} CASCADE`] : []
}

function nameOf({ type, identity }: NamedObject): string {
  return `${type} ${identity}`
}

function schemaAltered({ database, file }: WantedSchema, alterations: readonly string[]): InfraError {
  const more = alterations.length > OBJECTS_NAMED ? ` and ${alterations.length - OBJECTS_NAMED} more` : ''
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: ${file} altered or dropped what its template has`,
    detail: `  ${alterations.slice(0, OBJECTS_NAMED).join(', ')}${more}`,
    remedy: `Undo it in afterAll of ${file}, put it into a migration, or leave isolate at true for such files`,
    service: 'postgres',
  })
}

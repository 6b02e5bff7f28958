import type { Client } from 'pg'
import { InfraError } from '../../errors.ts'
import { quote } from '../../services/postgres-admin.ts'
import { compareDefinitions, type Difference } from './compare-definitions.ts'
import { describeAlterations } from './describe-alterations.ts'
import type { Catalog } from './catalogs.ts'
import { addressOf, nameObjects, type NamedObject } from './named-objects.ts'
import type { PristineCopy } from './pristine-copy.ts'
import type { Since } from './rows-written.ts'

const OBJECTS_NAMED = 5

/** Objects that others are in come first: to drop them drops those, too. */
const CONTAINERS = 'schema,extension,foreign-data wrapper,server,table,view,materialized view,foreign table'.split(',')
const ROUTINES = ['function', 'procedure', 'aggregate']
/** What `DROP` takes by its identity, as in `DROP TRIGGER name ON table`. */
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
  /** Those to compare. */
  readonly catalogs: readonly Catalog[]
  /** From when on what is found was written by somebody. */
  readonly since: Since
  /** The file that has used the database. */
  readonly file: string
}

/**
 * Drops what the template does not have; returns what that was, such as `table public.scratch`.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if the rest is not all that the template has, as it has it
 */
export async function restoreSchema(client: Client, wanted: WantedSchema): Promise<readonly string[]> {
  const { pristine } = wanted
  await restorePublic(client, pristine)
  const found = await compareDefinitions(client, pristine, wanted)
  const roots = await findAdded(client, found, wanted)
  const statements = roots.toSorted((one, other) => rankOf(one) - rankOf(other)).flatMap(dropStatement)
  if (statements.length > 0) {
    await client.query(statements.join('; '))
  }
  const left = statements.length > 0 ? await compareDefinitions(client, pristine, wanted) : found
  if (left.length > 0) {
    throw schemaAltered(wanted, await describeAlterations(client, pristine, left))
  }
  return roots.filter(({ type }) => DROPPABLE.includes(type) || type.startsWith('table ')).map(nameOf)
}

async function readPublic(client: Client): Promise<{ oid: string; statements: string } | undefined> {
  const { rows } = await client.query<{ oid: string; statements: string }>(SELECT_PUBLIC)
  return rows[0]
}

/** Tests like to drop and create the schema "public": it then lacks what the first one was given. */
async function restorePublic(client: Client, pristine: PristineCopy): Promise<void> {
  const [present, before] = [await readPublic(client), await pristine.open(readPublic)]
  if (present && before && present.oid !== before.oid) {
    await client.query(before.statements)
  }
}

const SELECT_PUBLIC = `
  SELECT oid::text AS oid, concat_ws('; ', format('ALTER SCHEMA public OWNER TO %I', pg_get_userbyid(nspowner)),
    format('COMMENT ON SCHEMA public IS %L', obj_description(oid, 'pg_namespace')), 'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    (SELECT string_agg(format('GRANT %s ON SCHEMA public TO %s', privilege_type,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END), '; ')
      FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))))) AS statements
  FROM pg_namespace WHERE nspname = 'public'`

/** Objects that the template does not have; those that go with another one are left out. */
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

/** Whether it, or what it is a part of, is among them. */
function isKnown(addresses: ReadonlySet<string>, address: string): boolean {
  return addresses.has(address) || addresses.has(address.replace(/\d+$/, '0'))
}

/** Whether its rows are objects, and do not only say something about one. */
function isOfObjects({ name, columns }: Catalog): boolean {
  return name === 'pg_attribute' || (columns.some((column) => column.name === 'oid') && !NO_OBJECTS.includes(name))
}

const NO_OBJECTS = ['pg_attrdef', 'pg_enum', 'pg_default_acl', 'pg_database', 'pg_subscription']

/** What holds others goes first, and takes them along. */
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

import type { Client } from 'pg'
import { InfraError } from '../../errors.ts'
import { quote } from '../../services/postgres-admin.ts'
import type { OpenPristine } from './reset-client.ts'
import {
  nameObjects,
  type NamedObject,
  readSchemaObjects,
  type SchemaObject,
  type SchemaObjects,
} from './schema-objects.ts'

const OBJECTS_NAMED = 5

/** What people call an object; the others are parts of one. */
const OBJECTS =
  'schema,extension,table,view,materialized view,foreign table,sequence,type,function,procedure,aggregate'.split(',')
const ROUTINES = ['function', 'procedure', 'aggregate']
/** What `DROP` takes by its identity, as in `DROP TRIGGER name ON table`. */
const DROPPABLE = [...OBJECTS, 'index', 'trigger', 'rule', 'policy', 'publication', 'event trigger']

export interface WantedSchema {
  readonly database: string
  readonly objects: SchemaObjects
  readonly openPristine: OpenPristine
}

/**
 * Drops what the template does not have; returns what that was.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if the rest is not all that the template has
 */
export async function restoreSchema(client: Client, wanted: WantedSchema): Promise<readonly string[]> {
  const present = await readSchemaObjects(client)
  const isAdded = ({ key }: SchemaObject) => !wanted.objects.has(key)
  const added = await nameObjects(client, [...present.values()].filter(isAdded))
  const newOids = new Set(added.filter(({ part }) => part === 0).map(({ object }) => object))
  const roots = added.filter(({ isPart, part, object }) => !isPart && (part === 0 || !newOids.has(object)))
  const statements = roots.toSorted((one, other) => rankOf(one) - rankOf(other)).flatMap(dropStatement)
  if (statements.length > 0) {
    await client.query(statements.join('; '))
  }
  const found = statements.length > 0 ? await readSchemaObjects(client) : present
  const left = await nameObjects(client, [...found.values()].filter(isAdded))
  const lost = [...wanted.objects.values()].filter(({ key, definition }) => found.get(key)?.definition !== definition)
  if (left.length > 0 || lost.length > 0) {
    const known = await wanted.openPristine((pristine) => nameObjects(pristine, lost))
    throw schemaAltered(wanted.database, [...known, ...left])
  }
  return roots.filter(({ type }) => OBJECTS.includes(type)).map(nameOf)
}

/** What holds others goes first, and takes them along. */
function rankOf({ type }: NamedObject): number {
  const rank = OBJECTS.indexOf(type)
  return rank === -1 ? OBJECTS.length : rank
}

function dropStatement({ type, identity, names }: NamedObject): string[] {
  const [schema = '', table = '', part = ''] = names
  switch (type) {
    case 'table column':
      return [`ALTER TABLE IF EXISTS ${quote(schema)}.${quote(table)} DROP COLUMN IF EXISTS ${quote(part)} CASCADE`]
    case 'table constraint':
      return [`ALTER TABLE IF EXISTS ${quote(schema)}.${quote(table)} DROP CONSTRAINT IF EXISTS ${quote(part)} CASCADE`]
    default:
      break
  }
  const kind = ROUTINES.includes(type) ? 'routine' : type
  return DROPPABLE.includes(type) ? [`DROP ${kind} IF EXISTS ${identity} CASCADE`] : []
}

function nameOf({ type, identity }: NamedObject): string {
  return `${type} ${identity}`
}

function schemaAltered(database: string, objects: readonly NamedObject[]): InfraError {
  const wholes = objects.filter(({ isPart }) => !isPart)
  const names = (wholes.length > 0 ? wholes : objects).map(nameOf)
  const more = names.length > OBJECTS_NAMED ? ` and ${names.length - OBJECTS_NAMED} more` : ''
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: its schema is not that of its template any more`,
    detail: `  altered or dropped: ${names.slice(0, OBJECTS_NAMED).join(', ')}${more}`,
    remedy: 'Undo it in the file that does it, or give such files a project of their own, with isolate at true',
    service: 'postgres',
  })
}

import { inSchema, type PostgresAddress } from '../environment/variable-set.ts'
import { SchemaTemplates } from './schema-templates.ts'
import { MarkedSchemas } from './marked-schemas.ts'
import { quote } from '../services/postgres-admin.ts'
import { SchemaAdmin } from './schema-admin.ts'
import { roleRefused, type SharedPlace, type SharedPlaceOptions } from './shared-place.ts'

/** Schemas of the database that the user named, each filled by its template's own steps. */
export async function openSharedSchemas(
  place: PostgresAddress,
  { claim, context }: SharedPlaceOptions,
): Promise<SharedPlace> {
  const { report, clock } = context
  const { user, database } = place
  const admin = await SchemaAdmin.open(place)
  return {
    admin,
    marked: new MarkedSchemas(claim),
    refusal: () =>
      roleRefused(place, {
        what: `schemas in database "${database}"`,
        remedy: `Have an administrator run: GRANT CREATE ON DATABASE ${quote(database)} TO ${quote(user)}`,
      }),
    createTemplates: (plans) => new SchemaTemplates({ admin, plans, report, clock }),
    reset: (name, template) => admin.reset(name, template),
    addressOf(name) {
      const { schema, parameters } = inSchema(place, name)
      return { database, schema, parameters }
    },
  }
}

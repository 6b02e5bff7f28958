import { inSchema, type PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { SchemaTemplates } from '../isolation/schema-templates.ts'
import { MarkedSchemas } from '../services/marked-schemas.ts'
import { quote } from '../services/postgres-admin.ts'
import { SchemaAdmin } from '../services/schema-admin.ts'
import type { SharedPlace, SharedPlaceOptions } from './shared-place.ts'

/** Schemas of the database that the user named, each filled by its template's own steps. */
export async function openSharedSchemas(
  place: PostgresAddress,
  { claim, context }: SharedPlaceOptions,
): Promise<SharedPlace> {
  const { report, clock } = context
  const { user, host, port, database } = place
  const admin = await SchemaAdmin.open(place)
  return {
    admin,
    marked: new MarkedSchemas(claim),
    refusal: () =>
      new InfraError('INFRA_ROLE_REFUSED', {
        problem: `Cannot use role "${user}" of the PostgreSQL on ${host}:${port}: it may not create schemas in database "${database}"`,
        remedy: `Have an administrator run: GRANT CREATE ON DATABASE ${quote(database)} TO ${quote(user)}`,
        service: 'postgres',
        provider: 'external',
      }),
    createTemplates: (plans) => new SchemaTemplates({ admin, plans, report, clock }),
    reset: (name, template) => admin.reset(name, template),
    addressOf(name) {
      const { schema, parameters } = inSchema(place, name)
      return { database, schema: schema ?? name, ...(parameters && { parameters }) }
    },
  }
}

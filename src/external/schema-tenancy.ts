import { inSchema, type PostgresAddress } from '../environment/variable-set.ts'
import { SchemaTemplates } from './schema-templates.ts'
import { MarkedSchemas } from './marked-schemas.ts'
import { quote } from '../services/postgres-admin.ts'
import { SchemaAdmin } from './schema-admin.ts'
import { roleRefused, type Tenancy, type TenancyOptions } from './tenancy.ts'

/**
 * Creates the tenancy that leases schemas in the database that the user named. Each schema is filled by the steps of
 * its template.
 */
export async function openSchemaTenancy(
  address: PostgresAddress,
  { claim, context }: TenancyOptions,
): Promise<Tenancy> {
  const { report, clock } = context
  const { user, database } = address
  const admin = await SchemaAdmin.open(address)
  return {
    admin,
    marked: new MarkedSchemas(claim),
    refusal: () =>
      roleRefused(address, {
        what: `schemas in database "${database}"`,
        remedy: `Have an administrator run: GRANT CREATE ON DATABASE ${quote(database)} TO ${quote(user)}`,
      }),
    createTemplates: (plans) => new SchemaTemplates({ admin, plans, report, clock }),
    reset: (name, template) => admin.reset(name, template),
    addressOf(name) {
      const { schema, parameters } = inSchema(address, name)
      return { database, schema, parameters }
    },
  }
}

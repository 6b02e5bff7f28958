import type { PostgresAddress } from '../environment/variable-set.ts'
import { DatabaseResetter } from '../reset/database-resetter.ts'
import { Templates } from '../databases/templates.ts'
import { prefixOf } from '../internal/names.ts'
import { MarkedDatabases } from './marked-databases.ts'
import { PostgresAdmin, quote } from '../services/postgres-admin.ts'
import { roleRefused, type Tenancy, type TenancyOptions } from './tenancy.ts'

/** Creates the tenancy that leases databases. Each is cloned from a template that all runs on the server share. */
export async function openDatabaseTenancy(
  address: PostgresAddress,
  { claim, version, context }: TenancyOptions,
): Promise<Tenancy> {
  const { runId, report, clock } = context
  const { user } = address
  const admin = await PostgresAdmin.open(address, { isShared: true })
  const resetter = new DatabaseResetter({ admin, prefix: prefixOf(runId), clock, report })
  const hold = (database: string) => claim.holdTemplate(database)
  // The role is part of the version: objects in a template belong to the role that built it, and another role could not
  // use them.
  const serverVersion = `${version} as ${user}`
  return {
    admin,
    marked: new MarkedDatabases(claim),
    refusal: () =>
      roleRefused(address, {
        what: 'databases',
        remedy: `Have an administrator run: ALTER ROLE ${quote(user)} CREATEDB; or set postgres.isolation to 'schema', which only needs schemas`,
      }),
    createTemplates: (plans) => new Templates({ admin, plans, serverVersion, runId, report, clock, hold }),
    reset: (name, template, use) => resetter.reset(name, template, use),
  }
}

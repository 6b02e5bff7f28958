import type { PostgresAddress } from '../environment/variable-set.ts'
import { DatabaseResetter } from '../reset/database-resetter.ts'
import { Templates } from '../databases/templates.ts'
import { prefixOf } from '../services/database-names.ts'
import { MarkedDatabases } from './marked-databases.ts'
import { PostgresAdmin, quote } from '../services/postgres-admin.ts'
import { roleRefused, type SharedPlace, type SharedPlaceOptions } from './shared-place.ts'

/** Whole databases, clones of templates that all runs on the server share. */
export async function openSharedDatabases(
  place: PostgresAddress,
  { claim, version, context }: SharedPlaceOptions,
): Promise<SharedPlace> {
  const { runId, report, clock } = context
  const { user } = place
  const admin = await PostgresAdmin.open(place, { isShared: true })
  const resetter = new DatabaseResetter({ admin, prefix: prefixOf(runId), clock, report })
  const hold = (database: string) => claim.holdTemplate(database)
  // Another role could not use what is in the template of this one.
  const serverVersion = `${version} as ${user}`
  return {
    admin,
    marked: new MarkedDatabases(claim),
    refusal: () =>
      roleRefused(place, {
        what: 'databases',
        remedy: `Have an administrator run: ALTER ROLE ${quote(user)} CREATEDB; or set postgres.isolation to 'schema', which needs schemas alone`,
      }),
    createTemplates: (plans) => new Templates({ admin, plans, serverVersion, runId, report, clock, hold }),
    reset: (name, template, use) => resetter.reset(name, template, use),
  }
}

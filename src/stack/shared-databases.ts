import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import { DatabaseResetter } from '../isolation/database-resetter.ts'
import { Templates } from '../isolation/templates.ts'
import { MarkedDatabases } from '../services/marked-databases.ts'
import { PostgresAdmin, quote } from '../services/postgres-admin.ts'
import type { SharedPlace, SharedPlaceOptions } from './shared-place.ts'

/** Whole databases, clones of templates that all runs on the server share. */
export async function openSharedDatabases(
  place: PostgresAddress,
  { claim, version, context }: SharedPlaceOptions,
): Promise<SharedPlace> {
  const { runId, report, clock } = context
  const { user, host, port } = place
  const admin = await PostgresAdmin.open(place, { isShared: true })
  const onDropped = (objects: readonly string[]) => report({ type: 'objects-dropped', objects })
  const resetter = new DatabaseResetter({ admin, prefix: `vitest_infra_${runId}_`, clock, onDropped })
  const hold = (database: string) => claim.holdTemplate(database)
  // Another role could not use what is in the template of this one.
  const serverVersion = `${version} as ${user}`
  return {
    admin,
    marked: new MarkedDatabases(claim),
    refusal: () =>
      new InfraError('INFRA_ROLE_REFUSED', {
        problem: `Cannot use role "${user}" of the PostgreSQL on ${host}:${port}: it may not create databases`,
        remedy: `Have an administrator run: ALTER ROLE ${quote(user)} CREATEDB; or set postgres.isolation to 'schema', which needs schemas alone`,
        service: 'postgres',
        provider: 'external',
      }),
    createTemplates: (plans) => new Templates({ admin, plans, serverVersion, report, clock, hold }),
    reset: (name, template) => resetter.reset(name, template),
  }
}

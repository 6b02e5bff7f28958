import type { PostgresAddress } from '../environment/variable-set.ts'
import type { PostgresPlace } from '../leasing/lease-broker.ts'
import type { DatabaseAdmin, DatabaseReset } from '../databases/databases.ts'
import type { TemplatePlan, TemplateSource } from '../databases/templates.ts'
import { InfraError } from '../errors.ts'
import type { Marked } from './marked-databases.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { RunClaim } from './run-claim.ts'
import type { PartContext } from '../leasing/part-context.ts'

export interface SharedPlaceOptions {
  readonly claim: RunClaim
  /** Of the server. */
  readonly version: string
  readonly context: PartContext
}

/** Where a run makes what it leases on a server that others use, too: whole databases, or schemas of one. */
export interface SharedPlace {
  readonly admin: DatabaseAdmin & Partial<Pick<PostgresAdmin, 'dropTemplate'>> & Pick<PostgresAdmin, 'close'>
  readonly marked: Marked
  /** What to report if the role may not. */
  refusal(): InfraError
  createTemplates(plans: readonly TemplatePlan[]): TemplateSource
  /** Makes one equal to a new one while clients stay connected. */
  readonly reset: DatabaseReset
  readonly addressOf?: (name: string) => PostgresPlace
}

/** For a role that may not make what its run would lease. */
export function roleRefused(
  { user, host, port }: PostgresAddress,
  { what, remedy }: { readonly what: string; readonly remedy: string },
): InfraError {
  return new InfraError('INFRA_ROLE_REFUSED', {
    problem: `Cannot use role "${user}" of the PostgreSQL on ${host}:${port}: it may not create ${what}`,
    remedy,
    service: 'postgres',
    provider: 'external',
  })
}

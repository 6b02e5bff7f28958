import type { PostgresAddress } from '../environment/variable-set.ts'
import type { PostgresPlace } from '../leasing/lease-source.ts'
import type { DatabaseAdmin, DatabaseReset } from '../databases/databases.ts'
import type { TemplatePlan, TemplateSource } from '../databases/templates.ts'
import { InfraError } from '../errors.ts'
import type { Marked } from './marked-databases.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { RunClaim } from './run-claim.ts'
import type { BackendContext } from '../leasing/backend-context.ts'

export interface TenancyOptions {
  readonly claim: RunClaim
  /** The server's version. */
  readonly version: string
  readonly context: BackendContext
}

/**
 * The way a run separates its leases on a server that others use too: by database, or by schema within one database.
 */
export interface Tenancy {
  readonly admin: DatabaseAdmin & Partial<Pick<PostgresAdmin, 'dropTemplate'>> & Pick<PostgresAdmin, 'close'>
  readonly marked: Marked
  /** Creates the error for a role that lacks the privilege to create databases or schemas. */
  refusal(): InfraError
  createTemplates(plans: readonly TemplatePlan[]): TemplateSource
  /** Makes a leased database or schema equal to its template while clients stay connected. */
  readonly reset: DatabaseReset
  readonly addressOf?: (name: string) => PostgresPlace
}

/** Creates the error for a role that may not create the databases or schemas that its run leases. */
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

import type { Client } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import type { Clock } from '../internal/clock.ts'
import type { LastUse } from '../leasing/lease-source.ts'
import { type CatalogState, findChanged, readCatalogs } from './catalog-state.ts'
import { computedDifferently, digestRows } from './computed-rows.ts'
import { restoreLargeObjects } from './large-objects.ts'
import { type LateStatement, readLateStatements } from './late-statements.ts'
import { awaitTransactions, explainFailure } from './open-transactions.ts'
import { planEmptying } from './plan-emptying.ts'
import { type PlannerStatistics, restorePlannerStatistics } from './planner-statistics.ts'
import type { PristineCopy } from './pristine-copy.ts'
import { withResetClient } from './reset-client.ts'
import { restoreSchema } from './restore-schema.ts'
import { EVERYTHING, type Since } from './rows-written.ts'
import { restoreSequences } from './sequences.ts'
import { findWritten, type Identities, readIdentities, type StoredRelation } from './stored-relations.ts'

/** The state of a database at a moment when it equalled its template. */
export interface ResetMark {
  readonly since: Since
  readonly state: CatalogState
  readonly identities: Identities
  readonly statistics: Pick<PlannerStatistics, 'digest'>
}

export interface ResetOptions {
  /** Address of the database, with a superuser's credentials. */
  readonly address: PostgresAddress
  readonly pristine: PristineCopy
  /** Result of the previous reset; before the first one, the state of the pristine copy. */
  readonly mark: ResetMark
  readonly clock: Clock
  /** Timeout in milliseconds for an open transaction and for a lock. */
  readonly waitMs: number
  readonly use: LastUse
  /** Whether the database was cloned from the template; if not, all its rows are compared. */
  readonly isClone: boolean
}

export interface ResetOutcome {
  readonly mark: ResetMark
  /** Objects that the template lacks and that were dropped, such as `table public.scratch`. */
  readonly dropped: readonly string[]
  /** Statements that other sessions sent between the end of the file and the end of the reset. */
  readonly late: readonly LateStatement[]
}

/**
 * Makes the content of a database equal to its template while users stay connected: rows, sequences, materialised
 * views, large objects and planner statistics. Tables without changes are not touched, and nothing visible to users is
 * added. Objects that the template lacks are dropped.
 *
 * Does not reset session state (temporary tables, settings, prepared statements, advisory locks) or server state
 * (roles). Cannot restore altered privileges, comments or settings of the database.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if a transaction stays open, or if an object of the template was altered or
 * dropped; in these cases nothing is changed
 */
export async function resetDatabase(options: ResetOptions): Promise<ResetOutcome> {
  const { address, clock, waitMs, use } = options
  const beganMs = clock.now()
  const { database } = address
  return withResetClient(address, { lockTimeoutMs: waitMs }, async (client) => {
    const from = await awaitTransactions(client, { database, clock, waitMs })
    try {
      // The isolation level and access mode are explicit, as the user may have changed the database's defaults.
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
      const outcome = await restoreAll(client, options, from)
      await client.query('COMMIT')
      return { ...outcome, late: await readLateStatements(client, use.idleMs + clock.now() - beganMs) }
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {})
      throw await explainFailure(client, database, error)
    }
  })
}

async function restoreAll(client: Client, options: ResetOptions, from: string): Promise<Omit<ResetOutcome, 'late'>> {
  const { address, pristine, mark, use, isClone } = options
  const { relations, sequences, largeObjects, statistics } = pristine.content
  // Large objects are restored before the schema is compared, as removing one also removes its comments and privileges.
  await restoreLargeObjects(client, { counts: largeObjects, openPristine: pristine.open, since: mark.since })
  const catalogs = pristine.content.catalogs.filter(({ isShared }) => isClone || !isShared)
  const found = await readCatalogs(client, catalogs, mark.since)
  const isAltered = !isClone || findChanged(catalogs, mark.state, found).length > 0
  const known = isClone
    ? { before: mark.state, since: pristine.content.since }
    : { before: undefined, since: EVERYTHING }
  const wanted = { catalogs, pristine, state: found, ...known }
  const { dropped, state } = isAltered
    ? await restoreSchema(client, { ...wanted, database: address.database, file: use.file })
    : { dropped: [], state: mark.state }
  const identities = await readIdentities(client, relations)
  const compared = { since: mark.since, before: mark.identities, now: identities }
  const written = await findWritten(client, relations, compared)
  await restoreRows(client, pristine, written)
  await assertComputedAlike(client, pristine, { written, database: address.database })
  await restoreSequences(client, sequences)
  const digest = await restorePlannerStatistics(client, statistics, {
    since: mark.since,
    digest: mark.statistics.digest,
  })
  const since: Since = { from, own: await ownTransaction(client) }
  return { dropped, mark: { since, state, identities, statistics: { digest } } }
}

async function restoreRows(client: Client, pristine: PristineCopy, written: readonly StoredRelation[]): Promise<void> {
  const { alwaysFired, foreignKeys } = pristine.content
  const tables = written.filter(({ kind }) => kind === 'table')
  const filled = tables.filter(({ rows }) => rows > 0)
  const views = written.filter(({ kind }) => kind === 'materialized view')
  const names = new Set(written.map(({ name }) => name))
  const fired = alwaysFired.filter(({ table }) => (table === null ? views.length > 0 : names.has(table)))
  await runAll(client, [...fired.map(({ disable }) => disable), ...planEmptying(tables, foreignKeys)])
  await pristine.rows.copy(client, filled)
  await runAll(client, [...views.map(refreshStatement), ...fired.map(({ enable }) => enable)])
}

async function assertComputedAlike(
  client: Client,
  pristine: PristineCopy,
  { written, database }: { readonly written: readonly StoredRelation[]; readonly database: string },
): Promise<void> {
  const computed = written.filter(({ isComputed, isPopulated }) => isComputed && isPopulated)
  const wanted = await pristine.digestRows(computed)
  const found = await digestRows(client, computed)
  const differing = computed.find((_, index) => found[index] !== wanted[index])
  if (differing) {
    throw computedDifferently(database, differing)
  }
}

function refreshStatement({ name, isPopulated }: StoredRelation): string {
  return `REFRESH MATERIALIZED VIEW ${name}${isPopulated ? '' : ' WITH NO DATA'}`
}

async function runAll(client: Client, statements: readonly string[]): Promise<void> {
  if (statements.length > 0) {
    await client.query(statements.join('; '))
  }
}

async function ownTransaction(client: Client): Promise<string> {
  const { rows } = await client.query<{ own: string }>(
    "SELECT coalesce(pg_current_xact_id_if_assigned()::xid::text, '0') AS own",
  )
  return rows[0]?.own ?? '0'
}

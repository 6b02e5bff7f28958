import type { Client } from 'pg'
import type { PostgresAddress } from '../environment/variable-set.ts'
import type { Clock } from '../internal/clock.ts'
import type { LastUse } from '../leasing/lease-broker.ts'
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

/** What is known of a database that equals its template. */
export interface ResetMark {
  readonly since: Since
  readonly state: CatalogState
  readonly identities: Identities
  readonly statistics: Pick<PlannerStatistics, 'digest'>
}

export interface ResetOptions {
  /** The database, as a superuser reaches it. */
  readonly address: PostgresAddress
  readonly pristine: PristineCopy
  /** What the reset before returned; for the first one the content of the pristine copy. */
  readonly mark: ResetMark
  readonly clock: Clock
  /** How long to wait for a transaction that was left open, and for a lock. */
  readonly waitMs: number
  readonly use: LastUse
  /** Whether it was cloned from the template; otherwise nothing is known of its rows but what they are. */
  readonly isClone: boolean
}

export interface ResetOutcome {
  readonly mark: ResetMark
  /** What the template does not have and was dropped, such as `table public.scratch`. */
  readonly dropped: readonly string[]
  /** What was sent between the end of the file and that of the reset, and may be sent after that, too. */
  readonly late: readonly LateStatement[]
}

/**
 * Makes the content of a database that of its template again while its users stay connected: rows, sequences,
 * materialised views, large objects, and the planner's statistics. What was not written is not touched, and nothing is
 * added that a user could see. Tables, types, functions and whatever else the template lacks are dropped.
 *
 * Left as they are: what belongs to a session (temporary tables, settings, prepared statements, advisory locks) or to
 * the server (roles), privileges, comments, and settings of the database.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if a transaction stays open, or if something that the template has was altered
 * or dropped; nothing is changed then
 */
export async function resetDatabase(options: ResetOptions): Promise<ResetOutcome> {
  const { address, clock, waitMs, use } = options
  const beganMs = clock.now()
  const { database } = address
  return withResetClient(address, { lockTimeoutMs: waitMs }, async (client) => {
    const from = await awaitTransactions(client, { database, clock, waitMs })
    try {
      // The database's defaults may have been changed.
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
  // Before the schema: what was said about those that are gone is gone with them.
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

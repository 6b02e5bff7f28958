import type { Client } from 'pg'
import { selectEach } from './reset-client.ts'
import { isNew, type Since } from './rows-written.ts'

/** The planner's statistics about a relation: its size, and the results of ANALYZE. */
interface RelationStatistics {
  /** Identifies the relation by name, so that a recreated one has the same key. */
  readonly key: string
  readonly oid: string
  /** The table on which to run ANALYZE for this relation, qualified and quoted. */
  readonly table: string
  /** Size columns of `pg_class`, by column name. */
  readonly size: Readonly<Record<string, number>>
  /** Numbers of the columns that have ANALYZE results. */
  readonly columns: readonly number[]
  /** Number of new ANALYZE results, for columns and statistics objects. */
  readonly written: number
  /** Names of the statistics objects that have ANALYZE results. */
  readonly objects: readonly string[]
}

export interface PlannerStatistics {
  readonly relations: ReadonlyMap<string, RelationStatistics>
  /** Digest of the statistics of all relations. */
  readonly digest: string
}

/** Size columns of `pg_class`. The column `relallfrozen` exists since PostgreSQL 18. */
const SIZES = ['relpages', 'reltuples', 'relallvisible', 'relallfrozen']

export async function readPlannerStatistics(client: Client, since: Since): Promise<PlannerStatistics> {
  const relations = await readRelations(client, since)
  return { relations, digest: await readDigest(client, sizesOf(relations)) }
}

async function readRelations(client: Client, since: Since): Promise<ReadonlyMap<string, RelationStatistics>> {
  const { rows } = await client.query<RelationStatistics>(
    `SELECT concat_ws(' ', CASE WHEN owner.oid <> c.oid THEN c.relkind END, n.nspname, owner.relname) AS key,
       c.oid::text AS oid, format('%I.%I', tn.nspname, t.relname) AS "table",
       (SELECT jsonb_object_agg(name, value) FROM jsonb_each(to_jsonb(c)) AS size (name, value) WHERE name = ANY ($1)) AS size,
       coalesce(columns.numbers, '{}') AS columns, coalesce(objects.names, '{}') AS objects,
       (coalesce(columns.written, 0) + coalesce(objects.written, 0))::int AS written
     FROM pg_class c
       LEFT JOIN pg_index i ON i.indexrelid = c.oid
       LEFT JOIN pg_class toasted ON toasted.reltoastrelid IN (c.oid, i.indrelid)
       JOIN pg_class owner ON owner.oid = coalesce(toasted.oid, c.oid) JOIN pg_namespace n ON n.oid = owner.relnamespace
       JOIN pg_class t ON t.oid = coalesce(toasted.oid, i.indrelid, c.oid) JOIN pg_namespace tn ON tn.oid = t.relnamespace
       LEFT JOIN (SELECT starelid AS oid, array_agg(DISTINCT staattnum ORDER BY staattnum) AS numbers,
           count(*) FILTER (WHERE ${isNew(since)}) AS written
         FROM pg_statistic GROUP BY starelid) AS columns ON columns.oid = c.oid
       LEFT JOIN (SELECT o.stxrelid AS oid, array_agg(DISTINCT o.stxname::text ORDER BY o.stxname::text) AS names,
           count(*) FILTER (WHERE ${isNew(since, 'd.xmin')}) AS written
         FROM pg_statistic_ext o JOIN pg_statistic_ext_data d ON d.stxoid = o.oid GROUP BY o.stxrelid) AS objects
         ON objects.oid = c.oid
     WHERE ${HAS_STATISTICS}`,
    [SIZES],
  )
  return new Map(rows.map((row) => [row.key, row]))
}

const HAS_STATISTICS = "c.oid >= 16384 AND c.relkind IN ('r', 'm', 'i', 't', 'p', 'I') AND c.relpersistence <> 't'"

/** Returns the columns of {@link SIZES} that this server has; empty if there are no relations. */
function sizesOf(relations: ReadonlyMap<string, RelationStatistics>): readonly string[] {
  const [first] = relations.values()
  return Object.keys(first?.size ?? {})
}

/**
 * Returns a digest of the sizes and of the existing ANALYZE results. Every ANALYZE replaces the rows of its results, so
 * their xmin changes.
 */
async function readDigest(client: Client, sizes: readonly string[]): Promise<string> {
  const rows = await selectEach<{ digest: string | null }>(client, [
    `SELECT sum(hashtextextended(concat_ws(' ', ${['c.oid', ...sizes].join()}), 0))::text AS digest FROM pg_class AS c WHERE ${HAS_STATISTICS}`,
    `SELECT sum(hashtextextended(concat_ws(' ', xmin, starelid, staattnum), 0))::text AS digest FROM pg_statistic WHERE starelid >= 16384`,
    `SELECT sum(hashtextextended(concat_ws(' ', xmin, stxoid), 0))::text AS digest FROM pg_statistic_ext_data`,
  ])
  return rows.map(([row]) => row?.digest ?? '').join(' ')
}

/**
 * Restores the planner's statistics. Emptying a table and running ANALYZE change these numbers, so query plans would
 * differ from those in a clone. Runs ANALYZE again on tables that have ANALYZE results in the template.
 *
 * @returns the digest of the restored statistics
 */
export async function restorePlannerStatistics(
  client: Client,
  { relations: wanted }: PlannerStatistics,
  { since, digest }: StatisticsMark,
): Promise<string> {
  const sizes = sizesOf(wanted)
  if ((await readDigest(client, sizes)) === digest) {
    return digest
  }
  await restoreRelations(client, wanted, since)
  return readDigest(client, sizes)
}

export interface StatisticsMark {
  readonly since: Since
  /** Digest from the previous restore; before the first one, the digest of the pristine copy. */
  readonly digest: string
}

async function restoreRelations(
  client: Client,
  wanted: ReadonlyMap<string, RelationStatistics>,
  since: Since,
): Promise<void> {
  const present = await readRelations(client, since)
  const pairs = [...present.values()].flatMap((found) => {
    const known = wanted.get(found.key)
    return known ? [{ oid: found.oid, found, known }] : []
  })
  const outdated = pairs.filter(({ found, known }) => found.written > 0 || resultsOf(found) !== resultsOf(known))
  const analysed = outdated.filter(({ known }) => known.columns.length + known.objects.length > 0)
  if (analysed.length > 0) {
    await client.query(`ANALYZE ${[...new Set(analysed.map(({ found }) => found.table))].join()}`)
  }
  if (outdated.length > 0) {
    await removeExtraResults(client, outdated)
  }
  const names = sizesOf(wanted)
  // ANALYZE also updates the sizes of a table's indexes.
  const sized = pairs.filter(
    ({ found, known }) => analysed.length > 0 || names.some((name) => found.size[name] !== known.size[name]),
  )
  if (sized.length > 0) {
    await client.query(
      `UPDATE pg_class AS c SET (${names.join()}) = (SELECT ${names.map((name) => `r.${name}`).join()}
         FROM jsonb_populate_record(c, wanted.size) AS r)
       FROM unnest($1::oid[], $2::jsonb[]) AS wanted (oid, size) WHERE c.oid = wanted.oid`,
      [sized.map(({ oid }) => oid), sized.map(({ known }) => JSON.stringify(known.size))],
    )
  }
}

type Pair = { readonly oid: string; readonly known: RelationStatistics }

/** Removes the ANALYZE results that the template does not have. */
async function removeExtraResults(client: Client, relations: readonly Pair[]): Promise<void> {
  const wanted = relations.flatMap(({ oid, known }) => known.columns.map((column) => `${oid} ${column}`))
  const objects = relations.flatMap(({ oid, known }) => known.objects.map((name) => `${oid} ${name}`))
  const oids = relations.map(({ oid }) => oid)
  await client.query(
    `DELETE FROM pg_statistic WHERE starelid = ANY ($1::oid[]) AND concat_ws(' ', starelid, staattnum) <> ALL ($2::text[])`,
    [oids, wanted],
  )
  await client.query(
    `DELETE FROM pg_statistic_ext_data AS d USING pg_statistic_ext AS o
     WHERE o.oid = d.stxoid AND o.stxrelid = ANY ($1::oid[]) AND concat_ws(' ', o.stxrelid, o.stxname) <> ALL ($2::text[])`,
    [oids, objects],
  )
}

function resultsOf({ columns, objects }: RelationStatistics): string {
  return [columns.join(), ...objects].join(' ')
}

import type { Client } from 'pg'
import { inDeletionOrder } from './reset/deletion-order.ts'
import { countRows, type Since } from './reset/rows-written.ts'
import { readSequences, type SequenceState } from './reset/sequences.ts'

/** A larger table that was written is not looked through: a new clone costs less. */
const MOST_BYTES = 1024 * 1024

/** Among the kinds of a trigger, as the catalogs have them. */
const ON_DELETE = 8

/** Whether nothing on the server or in the template works around what a renewal relies on. */
const IS_PLAIN = `current_setting('server_version_num')::int >= 160000 AND current_setting('track_counts')::bool AND current_setting('is_superuser')::bool
  AND current_setting('max_prepared_transactions') = '0' AND current_setting('wal_level') <> 'logical'
  AND NOT EXISTS (SELECT FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam
    WHERE c.oid >= 16384 AND (c.relkind = 'f' OR (c.relkind IN ('r', 'm') AND a.amname <> 'heap')))
  AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgenabled IN ('A', 'R'))
  AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_enabled IN ('A', 'R'))
  AND NOT EXISTS (SELECT FROM pg_event_trigger)
  AND NOT EXISTS (SELECT FROM pg_extension WHERE extname IN ('dblink', 'postgres_fdw', 'pg_cron'))
  AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid >= 16384
    AND (l.lanname NOT IN ('internal', 'c', 'sql', 'plpgsql') OR p.proconfig::text LIKE '%.%=%'
      OR p.prosrc ~* 'set_config|track_counts|pg_stat_reset|dblink|\\mset\\s+(session\\s+|local\\s+)?"?\\w+"?\\s*\\.'
      OR p.prosqlbody::text LIKE '%:funcid 2078 %'))`

export interface Table {
  readonly oid: string
  /** Qualified and quoted. */
  readonly name: string
  /** Of the table that holds its large values. */
  readonly toast: string | null
  /** None if it is too large to be counted. */
  readonly rows: number | undefined
  /** Whether rows can be deleted with triggers and foreign keys at work, after those of the tables before it. */
  readonly isSimple: boolean
}

/** What a clone holds before anybody has written to it. */
export interface Baseline {
  readonly database: string
  readonly since: Since
  /** Those that refer to others come before them. */
  readonly tables: readonly Table[]
  readonly sequences: readonly SequenceState[]
  /** Object ids of the catalogs that all databases share and few write to. */
  readonly shared: readonly string[]
}

/** Reads a clone that nobody has used; nothing if it is of a kind that has to be cloned anew for each test. */
export async function readBaseline(client: Client): Promise<Baseline | undefined> {
  const { rows } = await client.query<Omit<Baseline, 'since' | 'sequences'> & Found>(
    `SELECT d.oid::text AS database, pg_snapshot_xmax(pg_current_snapshot())::xid::text AS "from",
       ${IS_PLAIN} AS "isPlain",
       ARRAY(SELECT oid::text FROM pg_class WHERE relisshared
         AND relname IN ('pg_db_role_setting', 'pg_subscription', 'pg_shdescription')) AS shared,
       (SELECT coalesce(json_agg(t), '[]') FROM (
         SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) AS bytes,
           nullif(c.reltoastrelid, 0)::text AS toast,
           NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & ${ON_DELETE} <> 0)
             AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
             AND NOT EXISTS (SELECT FROM pg_constraint
               WHERE contype = 'f' AND conrelid = c.oid AND confrelid = c.oid AND confdeltype = 'r') AS "isSimple",
           ARRAY(SELECT confrelid::text FROM pg_constraint
             WHERE contype = 'f' AND conrelid = c.oid AND confrelid <> c.oid) AS references
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence <> 't') AS t) AS tables
     FROM pg_database d WHERE datname = current_database()`,
  )
  const [found] = rows
  if (!found?.isPlain) {
    return undefined
  }
  const { database, shared } = found
  const since = { from: found.from, own: '0' }
  const tables = await countTables(client, found.tables, since)
  return { database, since, tables, sequences: await readSequences(client), shared }
}

interface Found {
  readonly from: string
  readonly isPlain: boolean
  readonly tables: readonly SizedTable[]
}

interface SizedTable extends Omit<Table, 'rows'> {
  readonly bytes: number
  /** The tables that its foreign keys lead to. */
  readonly references: readonly string[]
}

async function countTables(client: Client, tables: readonly SizedTable[], since: Since): Promise<readonly Table[]> {
  const filled = tables.filter(({ bytes }) => bytes > 0 && bytes <= MOST_BYTES)
  const counts = await countRows(
    client,
    filled.map(({ name }) => name),
    since,
  )
  const rowsOf = new Map(filled.map(({ oid }, index) => [oid, counts[index]?.rows]))
  return inDeletionOrder(tables).map(({ oid, name, toast, isSimple, bytes }) => {
    return { oid, name, toast, isSimple, rows: bytes === 0 ? 0 : rowsOf.get(oid) }
  })
}

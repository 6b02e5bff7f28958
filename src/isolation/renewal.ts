import type { Client } from 'pg'
import { readSequences, type SequenceState } from './reset/sequences.ts'
import { isNew, type Since } from './reset/rows-written.ts'

/** A larger table that was written is not looked through: a new clone costs less. */
const MOST_BYTES = 1024 * 1024

const MOST_LOOKS = 6

/** Everything of a session that can be taken back, as DISCARD ALL does, and what it has counted, told at once. */
const CLEAN_SESSION = `CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
  SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_stat_force_next_flush()`

const WRITES =
  'pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)'

/** What the server says of the database outside of it. Functions, not their views: to plan those takes longer. */
const STANDING = `concat_ws(' ', d.xmin, pg_stat_get_db_stat_reset_time(d.oid),
  (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid),
  (SELECT count(*) FROM pg_prepared_xact() AS x WHERE x.dbid = d.oid),
  (SELECT count(*) FROM pg_get_replication_slots() AS s WHERE s.datoid = d.oid),
  (SELECT count(*) FROM pg_subscription WHERE subdbid = d.oid),
  (SELECT count(*) FROM pg_shdescription WHERE objoid = d.oid))`

/** Whether nothing in the template works around what a renewal relies on. */
const IS_PLAIN = `current_setting('track_counts')::bool AND current_setting('is_superuser')::bool
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

interface Table {
  readonly oid: string
  readonly name: string
  /** None if it is too large to be counted. */
  readonly rows: number | undefined
}

/** What a clone holds before anybody has written to it. */
export interface Baseline {
  readonly since: Since
  readonly standing: string
  readonly tables: ReadonlyMap<string, Table>
  readonly sequences: readonly SequenceState[]
  /** How many writes of each table are accounted for. */
  readonly writes: Map<string, number>
}

/** Reads a clone that nobody has used; nothing if it is of a kind that has to be cloned anew for each test. */
export async function readBaseline(client: Client): Promise<Baseline | undefined> {
  const { rows } = await client.query<{ from: string; standing: string; isPlain: boolean; tables: SizedTable[] }>(
    `SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text AS "from", ${STANDING} AS standing,
       ${IS_PLAIN} AS "isPlain", (SELECT coalesce(json_agg(t), '[]') FROM (
         SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) AS bytes
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence <> 't') AS t) AS tables
     FROM pg_database d WHERE datname = current_database()`,
  )
  const [found] = rows
  if (!found?.isPlain) {
    return undefined
  }
  const tables = await countTables(client, found.tables)
  const since = { from: found.from, own: '0' }
  return { since, standing: found.standing, tables, sequences: await readSequences(client), writes: new Map() }
}

/**
 * Makes a database what it was as a new clone, and its session what it was when it began. Returns false, and leaves
 * the database to be dropped, unless it is certain that it is: nobody else is connected, only rows were written, and
 * those of the template are untouched.
 *
 * That is told by the counters of the server, which are exact for sessions that ended or were asked to tell: whoever
 * changes a schema writes rows into catalogs.
 */
export async function renew(client: Client, baseline: Baseline): Promise<boolean> {
  await client.query(CLEAN_SESSION)
  const look = await lookAlone(client)
  const written = look && findWritten(look, baseline)
  if (!written || !(await restore(client, written, baseline))) {
    return false
  }
  if (written.length > 0) {
    // So that new rows come where they come in a new clone, and in the same order.
    await client.query(`VACUUM (INDEX_CLEANUP on, PROCESS_TOAST false) ${written.map(({ name }) => name).join(', ')}`)
  }
  return true
}

interface SizedTable {
  readonly oid: string
  readonly name: string
  readonly bytes: number
}

interface Look {
  readonly standing: string
  readonly isAlone: boolean
  /** By object id, where there are any. */
  readonly writes: Readonly<Record<string, number>>
}

const LOOK = `SELECT ${STANDING} AS standing, pg_stat_get_db_numbackends(d.oid) = 1 AS "isAlone",
    (SELECT coalesce(json_object_agg(oid, writes), '{}') FROM (
      SELECT c.oid, ${WRITES} AS writes FROM pg_class c WHERE c.relkind IN ('r', 'm') AND NOT c.relisshared) AS c
      WHERE writes > 0) AS writes
  FROM pg_database d WHERE datname = current_database()`

/** A session that its client has closed is still there for some milliseconds. */
async function lookAlone(client: Client): Promise<Look | undefined> {
  for (let count = 1; ; count += 1) {
    const { rows } = await client.query<Look>(LOOK)
    const [look] = rows
    if (look?.isAlone || count === MOST_LOOKS) {
      return look
    }
    // On the server: the clocks of a test may stand still.
    await client.query('SELECT pg_sleep(0.003)')
  }
}

/** The tables that were written since; nothing if more than that has happened. */
function findWritten(look: Look, baseline: Baseline): readonly Table[] | undefined {
  if (!look.isAlone || look.standing !== baseline.standing) {
    return undefined
  }
  const written = Object.entries(look.writes).filter(([oid, writes]) => writes !== (baseline.writes.get(oid) ?? 0))
  const tables = written.map(([oid]) => baseline.tables.get(oid))
  written.forEach(([oid, writes]) => baseline.writes.set(oid, writes))
  return tables.every((table) => table?.rows !== undefined) ? (tables as Table[]) : undefined
}

/** Takes away the rows that are not the template's; returns whether all of the template's are there. */
async function restore(client: Client, tables: readonly Table[], baseline: Baseline): Promise<boolean> {
  const deletions = tables.map(({ name }) => `DELETE FROM ONLY ${name} WHERE ${isNew(baseline.since)}`)
  const counts = tables.map(({ name }) => `SELECT count(*)::float8 AS rows FROM ONLY ${name}`)
  // Each statement has a result. Sequences are set whether they moved or not, since to ask costs as much.
  const results = (await client.query(
    [
      'SET session_replication_role = replica',
      ...deletions,
      ...counts,
      ...baseline.sequences.map((sequence) => setSequence(client, sequence)),
      'RESET session_replication_role',
    ].join('; '),
  )) as unknown as readonly { readonly rowCount: number | null; readonly rows: readonly { readonly rows: number }[] }[]
  tables.forEach(({ oid }, index) => {
    baseline.writes.set(oid, (baseline.writes.get(oid) ?? 0) + (results[1 + index]?.rowCount ?? 0))
  })
  return tables.every(({ rows }, index) => results[1 + tables.length + index]?.rows[0]?.rows === rows)
}

function setSequence(client: Client, { name, lastValue, isCalled }: SequenceState): string {
  return `SELECT setval(${client.escapeLiteral(name)}, ${lastValue}, ${isCalled})`
}

async function countTables(client: Client, tables: readonly SizedTable[]): Promise<ReadonlyMap<string, Table>> {
  const filled = tables.filter(({ bytes }) => bytes > 0 && bytes <= MOST_BYTES)
  const counts = filled.map(
    ({ name }, index) => `SELECT ${index} AS "index", count(*)::float8 AS rows FROM ONLY ${name}`,
  )
  const { rows } =
    filled.length === 0
      ? { rows: [] }
      : await client.query<{ rows: number }>(`${counts.join(' UNION ALL ')} ORDER BY 1`)
  const rowsOf = new Map(filled.map(({ oid }, index) => [oid, rows[index]?.rows]))
  return new Map(tables.map(({ oid, name, bytes }) => [oid, { oid, name, rows: bytes === 0 ? 0 : rowsOf.get(oid) }]))
}

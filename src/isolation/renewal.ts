import type { Client } from 'pg'
import type { Baseline, Table } from './baseline.ts'
import { isNew } from './reset/rows-written.ts'
import type { SequenceState } from './reset/sequences.ts'

/** A session that its client has closed is still there for some milliseconds. */
const MOST_TRIES = 6
const LOCK_TIMEOUT_MS = 50

/** Everything of a session that can be taken back, as DISCARD ALL does, and what it has counted, told at once. */
const CLEAN_SESSION = `CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
  SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_stat_force_next_flush()`

/** What the server says of a database at one moment. */
interface Look {
  readonly isAlone: boolean
  /** All that is said of it outside of it. */
  readonly standing: string
  /** How many rows were ever written in catalogs, and in each table. */
  readonly catalogs: string
  readonly writes: readonly number[]
}

/** One message may hold many statements; each has a result. */
interface Result {
  readonly rowCount: number | null
  readonly rows: readonly unknown[]
}

/**
 * Makes a database, again and again, what it was as a new clone, and its session what it was when it began.
 *
 * What has happened in between is told by the server's counters of written rows, which are exact for sessions that
 * have ended or were asked to tell: whoever changes a schema writes rows into catalogs.
 */
export class Renewal {
  readonly #baseline: Baseline
  readonly #look: string
  /** How many writes in each table are known of. */
  #writes: readonly number[]
  #standing: string | undefined
  /** The tables that were written last, and probably are now: to find out first takes longer. */
  #usual: readonly Table[] = []

  private constructor(baseline: Baseline) {
    this.#baseline = baseline
    this.#look = selectLook(baseline)
    this.#writes = baseline.tables.map(() => 0)
  }

  /** Begins with a database that nobody has used. */
  static async begin(client: Client, baseline: Baseline): Promise<Renewal> {
    const renewal = new Renewal(baseline)
    const { rows } = await client.query<Look>(renewal.#look)
    renewal.#standing = rows[0]?.standing
    return renewal
  }

  /**
   * Returns false, and leaves the database to be dropped, unless it is certain that it is what it was: nobody else is
   * connected, only rows were written, and those of the template are untouched. The client is best one that pipelines.
   */
  async renew(client: Client): Promise<boolean> {
    const written = new Set<Table>()
    for (let count = 0; count < MOST_TRIES; count += 1) {
      const tables = [...new Set([...this.#usual, ...written])]
      const { look, deleted, left } = await attempt(client, { ...this.#baseline, look: this.#look, tables })
      if (look?.standing !== this.#standing || look?.catalogs !== '0') {
        return false
      }
      this.#noteWrites(look, tables, deleted).forEach((table) => written.add(table))
      if (look.isAlone && [...written].every((table) => tables.includes(table))) {
        this.#usual = [...written]
        return tables.every(({ rows }, index) => rows === left[index])
      }
      if ([...written].some(({ rows }) => rows === undefined)) {
        return false
      }
      // On the server: the clocks of a test may stand still.
      await (look.isAlone ? undefined : client.query('SELECT pg_sleep(0.003)'))
    }
    return false
  }

  /** Returns the tables that were written since, deletions of ours apart. */
  #noteWrites(look: Look, tables: readonly Table[], deleted: readonly number[]): readonly Table[] {
    const known = this.#baseline.tables
    const written = known.filter((_, index) => look.writes[index] !== this.#writes[index])
    this.#writes = known.map((table, index) => (look.writes[index] ?? 0) + (deleted[tables.indexOf(table)] ?? 0))
    return written
  }
}

interface Attempt extends Baseline {
  readonly look: string
  /** Which tables to clean. */
  readonly tables: readonly Table[]
}

interface Outcome {
  /** How it was before. */
  readonly look: Look | undefined
  /** Rows of each table. */
  readonly deleted: readonly number[]
  readonly left: readonly number[]
}

/** Cleans a session and tables in one go; whether that was right is seen from what it found. */
async function attempt(client: Client, { look, tables, since, sequences }: Attempt): Promise<Outcome> {
  const names = tables.map(({ name }) => name)
  const statements = [
    look,
    // Triggers, rules and foreign keys rest, and who holds a lock is not waited for.
    `SET session_replication_role = replica; SET lock_timeout = ${LOCK_TIMEOUT_MS}`,
    ...names.map((name) => `DELETE FROM ONLY ${name} WHERE ${isNew(since)}`),
    ...names.map((name) => `SELECT count(*)::float8 AS rows FROM ONLY ${name}`),
    'RESET session_replication_role; RESET lock_timeout',
    // Whether they moved or not, since to ask costs as much.
    ...sequences.map((sequence) => setSequence(client, sequence)),
  ]
  const [, results] = await Promise.all([
    client.query(CLEAN_SESSION),
    client.query(statements.join('; ')) as Promise<unknown> as Promise<readonly Result[]>,
    // So that new rows come where they come in a new clone, and in the same order.
    names.length > 0
      ? client.query(`VACUUM (SKIP_LOCKED, INDEX_CLEANUP on, PROCESS_TOAST false) ${names.join(', ')}`)
      : undefined,
  ])
  const [found, , , ...rest] = results
  return {
    look: found?.rows[0] as Look | undefined,
    deleted: rest.slice(0, names.length).map(({ rowCount }) => rowCount ?? 0),
    left: rest.slice(names.length, 2 * names.length).map(({ rows }) => (rows[0] as { rows: number }).rows),
  }
}

function setSequence(client: Client, { name, lastValue, isCalled }: SequenceState): string {
  return `SELECT setval(${client.escapeLiteral(name)}, ${lastValue}, ${isCalled})`
}

/** Functions and not their views, and no more tables than needed: to plan takes longer than to look. */
function selectLook({ database, catalogs, tables }: Baseline): string {
  return `SELECT pg_stat_get_db_numbackends(${database}) = 1 AS "isAlone",
    concat_ws(' ', (SELECT xmin FROM pg_database WHERE oid = ${database}), pg_stat_get_db_stat_reset_time(${database}),
      (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = ${database}),
      (SELECT count(*) FROM pg_prepared_xact() AS x WHERE x.dbid = ${database}),
      (SELECT count(*) FROM pg_get_replication_slots() AS s WHERE s.datoid = ${database}),
      (SELECT count(*) FROM pg_subscription WHERE subdbid = ${database}),
      (SELECT count(*) FROM pg_shdescription WHERE objoid = ${database})) AS standing,
    (SELECT sum(${WRITES}) FROM unnest('{${catalogs.join()}}'::oid[]) AS t (oid))::text AS catalogs,
    ARRAY(SELECT (${WRITES})::float8 FROM unnest('{${tables.map(({ oid }) => oid).join()}}'::oid[]) AS t (oid)) AS writes`
}

const WRITES = ['inserted', 'updated', 'deleted'].map((kind) => `pg_stat_get_tuples_${kind}(t.oid)`).join(' + ')

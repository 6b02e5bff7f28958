import type { Client } from 'pg'
import type { Baseline, Table } from './baseline.ts'
import { isNew } from './reset/rows-written.ts'
import type { Outcome } from './session-messages.ts'

/** A session that its client has closed is still there for some milliseconds. */
const MOST_TRIES = 6
const LOCK_TIMEOUT_MS = 50

/** Everything of a session that can be taken back, as DISCARD ALL does, which has to be alone in its query. */
const CLEAN_SESSION = [
  'CLOSE ALL',
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ALL',
  'DEALLOCATE ALL',
  'UNLISTEN *',
  'SELECT pg_advisory_unlock_all()',
  'DISCARD TEMP',
  'DISCARD SEQUENCES',
]

/** On the server: the clocks of a test may stand still. */
const PAUSE = 'SELECT pg_sleep(0.003)'

/** Tells the parts of a look apart. */
const NEXT = '|'

/** Runs queries, each of some statements; nothing if one of them failed. */
export type Ask = (queries: readonly string[]) => Promise<readonly (readonly Outcome[])[] | undefined>

/** What the server says of a database at one moment. */
interface Look {
  readonly isAlone: boolean
  /** All that is said of it outside of it, and how many rows were ever written in catalogs. */
  readonly standing: string
  /** How many sessions there ever were. */
  readonly sessions: number
  /** How many rows were ever written in each table. */
  readonly writes: readonly number[]
}

/** What is known of a database that equals a new clone. */
export interface RenewalState extends Omit<Look, 'isAlone'> {
  readonly baseline: Baseline
}

/**
 * Makes a database, again and again, what it was as a new clone, and its session what it was when it began.
 *
 * What has happened in between is told by the server's counters of written rows, which are exact for sessions that
 * have ended and for the one that asks: whoever changes a schema writes rows into catalogs.
 */
export class Renewal {
  readonly #baseline: Baseline
  readonly #standing: string
  /** How many writes in each table are known of. */
  #writes: readonly number[]
  #sessions: number
  /** The tables that were written last, and probably are now: to find out first takes longer. */
  #usual: Plan

  private constructor({ baseline, standing, writes, sessions }: RenewalState) {
    this.#baseline = baseline
    this.#standing = standing
    this.#writes = writes
    this.#sessions = sessions
    this.#usual = planAttempt(baseline, new Set())
  }

  /** Begins with a database that nobody has used. */
  static async begin(client: Client, baseline: Baseline): Promise<Renewal> {
    const { rows } = await client.query<{ look: string }>(selectLook(baseline))
    return new Renewal({ baseline, ...readLook(rows[0]?.look) })
  }

  /** Goes on, in another worker, with a database that nobody has used since it was renewed. */
  static resume(state: unknown): Renewal {
    return new Renewal(state as RenewalState)
  }

  /** What it takes to go on elsewhere. */
  get state(): RenewalState {
    return { baseline: this.#baseline, standing: this.#standing, writes: this.#writes, sessions: this.#sessions }
  }

  /**
   * Returns false, and leaves the database to be dropped, unless it is certain that it is what it was: nobody else is
   * connected, only rows were written, and those of the template are untouched.
   */
  async renew(ask: Ask): Promise<boolean> {
    const written = new Set<Table>()
    let plan = this.#usual
    for (let count = 0; count < MOST_TRIES; count += 1) {
      const { tables, queries } = plan
      const attempt = readAttempt(await ask(queries), tables)
      if (attempt?.look.standing !== this.#standing) {
        return false
      }
      const { look, deleted, left } = attempt
      this.#noteWrites(look, tables, deleted).forEach((table) => written.add(table))
      this.#sessions = look.sessions
      if (look.isAlone && [...written].every((table) => tables.includes(table))) {
        this.#usual = written.size === tables.length ? plan : planAttempt(this.#baseline, written)
        return tables.every(({ rows }, index) => rows === left[index])
      }
      if ([...written].some(({ rows }) => rows === undefined)) {
        return false
      }
      plan = planAttempt(this.#baseline, new Set([...tables, ...written]))
      await (look.isAlone ? undefined : ask([PAUSE]))
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

interface Plan {
  readonly tables: readonly Table[]
  readonly queries: readonly string[]
}

/** How to clean a session and tables in one go; whether that was right is seen from what it found. */
function planAttempt(baseline: Baseline, written: ReadonlySet<Table>): Plan {
  const { since, sequences } = baseline
  const tables = baseline.tables.filter((table) => written.has(table))
  const role = tables.every(({ isSimple }) => isSimple) ? 'origin' : 'replica'
  const names = tables.map(({ name }) => name)
  const counts = names.map((name) => `(SELECT count(*) FROM ONLY ${name})`)
  // Whether they moved or not, since to ask costs as much.
  const resets = sequences.map(({ oid, lastValue, isCalled }) => `setval(${oid}::regclass, ${lastValue}, ${isCalled})`)
  const statements = [
    ...CLEAN_SESSION,
    selectLook(baseline),
    // Who holds a lock is not waited for. Triggers, rules and foreign keys rest only if they have to: of all that is
    // done here nothing costs as much as the plans that the session has to make anew after it.
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL session_replication_role = ${role}`,
    ...names.map((name) => `DELETE FROM ONLY ${name} WHERE ${isNew(since)}`),
    `SELECT ${[`concat_ws('${NEXT}', ${[`''`, ...counts].join()})`, ...resets].join()}`,
  ]
  // So that new rows come where they come in a new clone, and in the same order. It passes over a page that a checkpoint
  // writes just then, so that the next row comes behind the dead ones, once in some thousand tests.
  const vacuum = `VACUUM (SKIP_LOCKED, INDEX_CLEANUP on, PROCESS_TOAST false) ${names.join()}`
  return { tables, queries: [statements.join('; '), ...(names.length > 0 ? [vacuum] : [])] }
}

interface Attempt {
  /** How it was before. */
  readonly look: Look
  /** Rows of each table. */
  readonly deleted: readonly number[]
  readonly left: readonly number[]
}

function readAttempt(
  answers: readonly (readonly Outcome[])[] | undefined,
  tables: readonly Table[],
): Attempt | undefined {
  if (!answers) {
    return undefined
  }
  const [look, , , ...rest] = answers[0]?.slice(CLEAN_SESSION.length) ?? []
  const [, ...left] = (rest.at(-1)?.values[0] ?? '').split(NEXT)
  return {
    look: readLook(look?.values[0]),
    deleted: tables.map((_, index) => Number(rest[index]?.tag.split(' ')[1])),
    left: left.map(Number),
  }
}

function readLook(text = ''): Look {
  const [isAlone, standing = '', sessions, writes = ''] = text.split(NEXT)
  return { isAlone: isAlone === 't', standing, sessions: Number(sessions), writes: writes.split(' ').map(Number) }
}

/** Functions and not their views, and no more tables than needed: to plan takes longer than to look. */
function selectLook({ database, catalogs, tables }: Baseline): string {
  return `SELECT concat_ws('${NEXT}', pg_stat_get_db_numbackends(${database}) = 1,
    concat_ws(' ', (SELECT xmin FROM pg_database WHERE oid = ${database}), pg_stat_get_db_stat_reset_time(${database}),
      (SELECT sum(${WRITES}) FROM unnest('{${catalogs.join()}}'::oid[]) AS t (oid))),
    pg_stat_get_db_sessions(${database}), array_to_string(ARRAY(SELECT ${WRITES} FROM unnest('{${tables.map(({ oid }) => oid).join()}}'::oid[]) AS t (oid)), ' '))
    AS look`
}

/** By all sessions, and by this one since it last told how many. */
const WRITES = ['inserted', 'updated', 'deleted']
  .map((kind) => `pg_stat_get_tuples_${kind}(t.oid) + pg_stat_get_xact_tuples_${kind}(t.oid)`)
  .join(' + ')

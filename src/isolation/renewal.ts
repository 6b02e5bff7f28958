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
  // Has what the session has counted told to the server with the end of this query.
  'SELECT pg_stat_force_next_flush()',
]

/** On the server: the clocks of a test may stand still. */
const PAUSE = 'SELECT pg_sleep(0.003)'

/** Among them what is of no use for tables as small as these, and takes as long as the rest. */
const VACUUM_OPTIONS =
  'SKIP_LOCKED, INDEX_CLEANUP on, PROCESS_TOAST false, SKIP_DATABASE_STATS true, BUFFER_USAGE_LIMIT 0'

/** Tells the parts of a look apart. */
const NEXT = '|'

/** Runs queries, each of some statements; nothing if one of them failed. */
export type Ask = (queries: readonly string[]) => Promise<readonly (readonly Outcome[])[] | undefined>

/** What the server says of a database at one moment. */
interface Look {
  readonly isAlone: boolean
  /** All that is said of it outside of it, and how many rows were ever written in its catalogs. */
  readonly standing: string
  /** How many sessions there ever were. */
  readonly sessions: number
  /** How many rows were ever written in each table. */
  readonly writes: readonly number[]
}

/** What is known of a database that equals a new clone. */
export interface RenewalState extends Omit<Look, 'isAlone'> {
  readonly baseline: Baseline
  /** Object ids of the tables that were written last. */
  readonly usual: readonly string[]
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

  private constructor({ baseline, standing, writes, sessions, usual }: RenewalState) {
    this.#baseline = baseline
    this.#standing = standing
    this.#writes = writes
    this.#sessions = sessions
    this.#usual = planAttempt(baseline, new Set(baseline.tables.filter(({ oid }) => usual.includes(oid))))
  }

  /** Begins with a database that nobody has used. */
  static async begin(client: Client, baseline: Baseline): Promise<Renewal> {
    const { rows } = await client.query<{ look: string }>(selectLook(baseline))
    return new Renewal({ baseline, usual: [], ...readLook(baseline, rows[0]?.look) })
  }

  /** Goes on, in another worker, with a database that nobody has used since it was renewed. */
  static resume(state: unknown): Renewal {
    return new Renewal(state as RenewalState)
  }

  /** What it takes to go on elsewhere. */
  get state(): RenewalState {
    return {
      baseline: this.#baseline,
      usual: this.#usual.tables.map(({ oid }) => oid),
      standing: this.#standing,
      writes: this.#writes,
      sessions: this.#sessions,
    }
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
      const attempt = readAttempt(this.#baseline, await ask(queries), tables)
      if (attempt?.look.standing !== this.#standing) {
        return false
      }
      const { look, deleted, left } = attempt
      this.#noteWrites(look, tables, deleted).forEach((table) => written.add(table))
      this.#sessions = look.sessions
      if (look.isAlone && [...written].every((table) => tables.includes(table))) {
        this.#usual = written.size === tables.length ? plan : planAttempt(this.#baseline, written)
        return tables.filter(hasRows).every(({ rows }, index) => rows === left[index])
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
  const counts = tables.filter(hasRows).map(({ name }) => `(SELECT count(*) FROM ONLY ${name})`)
  // Whether they moved or not, since to ask costs as much.
  const resets = sequences.map(({ oid, lastValue, isCalled }) => `setval(${oid}::regclass, ${lastValue}, ${isCalled})`)
  const statements = [
    selectLook(baseline),
    // Who holds a lock is not waited for. Triggers, rules and foreign keys rest only if they have to: of all that is
    // done here nothing costs as much as the plans that the session has to make anew after it.
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    `SET LOCAL session_replication_role = ${role}`,
    ...tables.map((table) => `DELETE FROM ONLY ${table.name}${hasRows(table) ? ` WHERE ${isNew(since)}` : ''}`),
    `SELECT ${[`concat_ws('${NEXT}', ${[`''`, ...counts].join()})`, ...resets].join()}`,
  ]
  // So that new rows come where they come in a new clone, and in the same order. It passes over a page that a checkpoint
  // writes just then, so that the next row comes behind the dead ones, once in some thousand tests.
  const vacuum = `VACUUM (${VACUUM_OPTIONS}) ${tables.map(({ name }) => name).join()}`
  const queries = [CLEAN_SESSION.join('; '), statements.join('; '), ...(tables.length > 0 ? [vacuum] : [])]
  return { tables, queries }
}

/** Without any in the template, there is nothing to count once what is new is gone. */
function hasRows({ rows }: Table): boolean {
  return rows !== 0
}

interface Attempt {
  /** How it was before. */
  readonly look: Look
  /** Rows of each table. */
  readonly deleted: readonly number[]
  /** Of the tables that have rows in the template. */
  readonly left: readonly number[]
}

function readAttempt(
  baseline: Baseline,
  answers: readonly (readonly Outcome[])[] | undefined,
  tables: readonly Table[],
): Attempt | undefined {
  if (!answers) {
    return undefined
  }
  const [look, , , ...rest] = answers[1] ?? []
  const [, ...left] = (rest.at(-1)?.values[0] ?? '').split(NEXT)
  return {
    look: readLook(baseline, look?.values[0]),
    deleted: tables.map((_, index) => Number(rest[index]?.tag.split(' ')[1])),
    left: left.map(Number),
  }
}

function readLook({ tables }: Baseline, text = ''): Look {
  const [isAlone, outside, total, sessions, counts = ''] = text.split(NEXT)
  const writes = counts.split(' ').map(Number)
  const inCatalogs = writes.reduce((left, count) => left - count, Number(total))
  return {
    isAlone: isAlone === 't',
    standing: `${outside} ${inCatalogs}`,
    sessions: Number(sessions),
    writes: writes.slice(0, tables.length),
  }
}

/** Functions and not their views, and no more of them than needed: to plan takes longer than to look. */
function selectLook({ database, shared, tables }: Baseline): string {
  const relations = [...tables.map(({ oid }) => oid), ...tables.flatMap(({ toast }) => toast ?? [])]
  return `SELECT concat_ws('${NEXT}', pg_stat_get_db_numbackends(${database}) = 1,
    concat_ws(' ', (SELECT xmin FROM pg_database WHERE oid = ${database}), pg_stat_get_db_stat_reset_time(${database}),
      ${shared.map((oid) => countWrites('', oid)).join(' + ')}),
    ${countWrites('db_', database)}, pg_stat_get_db_sessions(${database}),
    array_to_string(ARRAY(SELECT ${countWrites('', 't.oid')} FROM unnest('{${relations.join()}}'::oid[]) AS t (oid)), ' '))
    AS look`
}

/** Rows that were ever written in a table, or in all of a database. */
function countWrites(kind: '' | 'db_', oid: string): string {
  return ['inserted', 'updated', 'deleted'].map((way) => `pg_stat_get_${kind}tuples_${way}(${oid})`).join(' + ')
}

import type { Client } from 'pg'
import { selectEach } from './reset-client.ts'

/** Position of a sequence in the template. */
export interface SequenceState {
  readonly oid: string
  /** Name, qualified and quoted. */
  readonly name: string
  /** The value as text, as it may be too large for a JavaScript number. */
  readonly lastValue: string
  readonly isCalled: boolean
  /** Whether each session fetches several values at once and caches the unused ones. */
  readonly isCached: boolean
}

export async function readSequences(client: Client): Promise<readonly SequenceState[]> {
  const { rows: found } = await client.query<Omit<SequenceState, 'lastValue' | 'isCalled'>>(`
    SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name, s.seqcache > 1 AS "isCached"
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND c.oid >= 16384`)
  const states = await selectEach<{ last_value: string; is_called: boolean }>(
    client,
    found.map(({ name }) => `SELECT last_value, is_called FROM ${name}`),
  )
  return found.map((sequence, index) => {
    const { last_value: lastValue = '1', is_called: isCalled = false } = states[index]?.[0] ?? {}
    return { ...sequence, lastValue, isCalled }
  })
}

/** Sets sequences back to their positions in the template. */
export async function restoreSequences(client: Client, sequences: readonly SequenceState[]): Promise<void> {
  if (sequences.length === 0) {
    return
  }
  const { rows } = await client.query<{ name: string; value: string | null }>(
    'SELECT name, pg_sequence_last_value(name::regclass)::text AS value FROM unnest($1::text[]) AS name',
    [sequences.map(({ name }) => name)],
  )
  const valueOf = new Map(rows.map(({ name, value }) => [name, value]))
  // pg_sequence_last_value() returns null for an unused sequence, even if its start value has changed. A cached
  // sequence may have its old position again while sessions still hold values of it.
  const suspects = sequences.filter(
    ({ name, lastValue, isCalled, isCached }) => isCached || !isCalled || valueOf.get(name) !== lastValue,
  )
  const cached = suspects.filter(({ isCached }) => isCached)
  if (cached.length > 0) {
    // Unlike setval(), ALTER SEQUENCE makes sessions discard their cached values.
    await client.query(cached.map(({ name }) => `ALTER SEQUENCE ${name} RESTART`).join('; '))
  }
  await setValues(client, suspects)
}

async function setValues(client: Client, sequences: readonly SequenceState[]): Promise<void> {
  await client.query(
    `SELECT count(setval(name::regclass, value, called))
     FROM unnest($1::text[], $2::int8[], $3::bool[]) AS state (name, value, called)`,
    [
      sequences.map(({ name }) => name),
      sequences.map(({ lastValue }) => lastValue),
      sequences.map(({ isCalled }) => isCalled),
    ],
  )
}

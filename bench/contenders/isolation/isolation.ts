import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { nowMs } from '../../support/run-project.ts'

export const MEASURES = {
  database: 'a fresh database',
  query: 'a fresh database and its first query',
  cycle: 'a fresh database, its first query and its end',
} as const

/** A way to give each test an unused migrated database. */
export interface Isolation {
  /** Makes it or gets it. */
  acquire(): Promise<void>
  connect(): Promise<pg.Client>
  /** Gets rid of it. */
  release(client: pg.Client): Promise<void>
}

/** The tests run in sequence, as in a file; fewer if they take long. */
const CYCLES = 10
const BUDGET_MS = 4000
/** The duration of a short test file. Databases prepared ahead have this time. */
const HELD_MS = 100

export async function measureCycles(isolation: Isolation): Promise<Record<string, number[]>> {
  const samples = { [MEASURES.database]: [], [MEASURES.query]: [], [MEASURES.cycle]: [] } as Record<string, number[]>
  const endMs = nowMs() + BUDGET_MS
  for (let index = 0; index < CYCLES && (index === 0 || nowMs() < endMs); index += 1) {
    for (const [name, value] of Object.entries(await measureCycle(isolation))) {
      samples[name]?.push(value)
    }
  }
  return samples
}

async function measureCycle(isolation: Isolation): Promise<Record<string, number>> {
  const beganMs = nowMs()
  await isolation.acquire()
  const databaseMs = nowMs() - beganMs
  const client = await isolation.connect()
  await client.query('SELECT count(*) FROM table_1')
  const queryMs = nowMs() - beganMs
  await client.query("INSERT INTO table_1 (name) VALUES ('Ada')")
  await sleep(HELD_MS)
  const overMs = nowMs()
  await isolation.release(client)
  return {
    [MEASURES.database]: databaseMs,
    [MEASURES.query]: queryMs,
    [MEASURES.cycle]: queryMs + nowMs() - overMs,
  }
}

export async function openClient(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  return client
}

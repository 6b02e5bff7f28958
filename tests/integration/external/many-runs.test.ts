import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withPostgres } from '../../../src/services/postgres.ts'
import {
  PASSWORD,
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../../support/somebodys-servers.ts'
import { startExternalProcess } from '../../support/start-external-process.ts'

const PROCESSES = 20
const ROUNDS = 3

let servers: SomebodysServers
let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'external-'))
  await mkdir(join(root, 'fixtures/postgres/migrations'), { recursive: true })
  await writeFile(join(root, 'fixtures/postgres/migrations/1.sql'), 'CREATE TABLE notes (text text);')
  // Fewer databases of Redis than there are leases at once.
  servers = await startSomebodysServers({ maxConnections: 70, redisDatabases: 32 })
})
afterAll(async () => {
  await servers.stop()
  await rm(root, { recursive: true })
})

test('twenty parallel runs on one PostgreSQL and Redis stay separate and leave only their template', async () => {
  const names = Array.from({ length: PROCESSES }, (_, index) => `run-${index}`)
  const runs = names.map((name) =>
    startExternalProcess({ name, root, rounds: ROUNDS, options: { external: servers.external } }),
  )
  const codes = await Promise.all(runs.map(({ ended }) => ended))
  expect(runs.filter((_, index) => codes[index] !== 0).map(({ errors }) => errors)).toEqual([])

  const visits = runs.flatMap((run) => run.visits)
  expect(visits).toHaveLength(PROCESSES * ROUNDS)
  expect(visits.filter(({ name, rows, notes }) => [...rows, ...notes].join() !== `${name},${name}`)).toEqual([])
  expect(new Set(visits.map(({ database }) => database)).size).toBe(PROCESSES * ROUNDS)

  const left = await servers.look()
  expect(withoutTemplates(left)).toEqual(UNTOUCHED)
  expect(left.databases).toHaveLength(UNTOUCHED.databases.length + 1)
  // The last run used the template that the first one built.
  const built = runs.filter(({ errors }) => errors.includes('"isNew":true'))
  expect(built).toHaveLength(1)
  expect(runs.map(({ errors }) => errors).join('')).not.toContain(PASSWORD)
})

test('leftovers of a killed run are dropped by the next run, those of a live run are not', async () => {
  const start = (name: string, holds: boolean) =>
    startExternalProcess({ name, root, rounds: 2, holds, options: { external: servers.external } })
  const [killed, living] = [start('killed', true), start('living', true)]
  await expect.poll(() => killed.isDone && living.isDone, { timeout: 90_000 }).toBe(true)
  await killed.kill()
  const databasesOf = (visits: typeof killed.visits) => visits.map(({ database }) => database)
  expect((await servers.look()).databases).toEqual(expect.arrayContaining(databasesOf(killed.visits)))

  // The next run sweeps the keys once it sees that the claim has expired.
  await expect
    .poll(
      async () => {
        const next = start('next', false)
        expect(await next.ended).toBe(0)
        const { databases, keys } = await servers.look()
        const isLeft = databases.some((name) => databasesOf(killed.visits).includes(name))
        return isLeft || keys.some((key) => key.includes('notes') && key.includes('killed'))
      },
      { timeout: 50_000, interval: 1_000 },
    )
    .toBe(false)
  expect((await servers.look()).databases).toEqual(expect.arrayContaining(databasesOf(living.visits)))
  for (const { database } of living.visits) {
    const { rows } = await withPostgres({ ...servers.postgres, database }, (client) =>
      client.query('SELECT * FROM notes'),
    )
    expect(rows).toEqual([{ text: 'living' }])
  }
})

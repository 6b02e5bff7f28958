import { readdir } from 'node:fs/promises'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { InfraError } from '../../src/errors.ts'
import { DockerSnapshot } from '../../src/providers/docker/snapshot/docker-snapshot.ts'
import { SnapshotImages } from '../../src/providers/docker/snapshot/snapshot-images.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { StartGuard } from '../../src/providers/docker/container/start-guard.ts'
import { copyPostgresData } from '../../src/services/postgres-snapshot.ts'
import type { InfraOptions, SeedContext } from '../../src/config/infra-options.ts'
import { ask, engine, Project, type Run, runCli, testsOfOneProject } from '../support/snapshot-runs.ts'

vi.setConfig({ testTimeout: 120_000 })

const MIGRATION = 'fixtures/postgres/migrations/001_books.sql'
const BOOKS = "CREATE TABLE books (title text); INSERT INTO books VALUES ('Emma');"

function templatesOf({ events }: Run): Record<string, string> {
  return Object.fromEntries(
    events.flatMap((event) =>
      event.type === 'template-ready' ? [[event.template, event.isNew ? 'built' : 'found']] : [],
    ),
  )
}

test('the next run with the same inputs starts from a snapshot, initialized and with templates', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS, 'more.sql': "INSERT INTO books VALUES ('Persuasion')" })
  const options = { postgres: { user: 'ada' }, templates: { more: { seeds: 'more.sql' } } }
  await project.take(options)

  const run = await project.start(options)
  const template = `(SELECT datname FROM pg_database WHERE datistemplate AND datname LIKE 'vitest%')`
  expect(run.isRestored).toBe(true)
  expect(templatesOf(run)).toEqual({ default: 'found' })
  expect(await ask(run.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
  expect(await ask({ ...run.postgres, database: 'ada' }, 'SELECT current_database()')).toEqual(['ada'])
  expect(await ask(run.postgres, template)).toHaveLength(2)
  expect(await ask(run.postgres, "SELECT datname FROM pg_database WHERE datname = 'vitest_infra_flush'")).toEqual([])
  // Nothing is stored in the project, which may be read-only.
  expect(await readdir(project.root)).toEqual(['fixtures', 'more.sql'])
})

const changes: readonly (readonly [string, InfraOptions, string, unknown])[] = [
  ['a setting', { postgres: { settings: { timezone: 'Asia/Tokyo' } } }, 'SHOW timezone', 'Asia/Tokyo'],
  ['a password', { postgres: { password: 'another' } }, 'SELECT 1', 1],
  ['the user', { postgres: { user: 'ada' } }, 'SELECT current_user', 'ada'],
  ['the database', { postgres: { database: 'shop' } }, 'SELECT current_database()', 'shop'],
  ['arguments of initdb', { postgres: { initdbArgs: '--wal-segsize=4' } }, 'SHOW wal_segment_size', '4MB'],
  [
    'an extension',
    { postgres: { extensions: ['citext'] } },
    "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'",
    'citext',
  ],
  [
    'the image',
    { postgres: { image: 'pgvector/pgvector:pg18' } },
    "SELECT name FROM pg_available_extensions WHERE name = 'vector'",
    'vector',
  ],
]

const changedTest = testsOfOneProject({ [MIGRATION]: BOOKS })
let taken = ''

changedTest.for(changes)(
  'a run with another value of %s does not start from the snapshot',
  async ([, other, query, answer], { project }) => {
    // Snapshots of the other values eventually replace it.
    if (!(await project.snapshots()).includes(taken)) {
      taken = await project.take()
    }
    const changed = await project.start(other)
    expect(changed.isRestored).toBe(false)
    expect(await ask(changed.postgres, query)).toEqual([answer])
    await changed.stop()
    const same = await project.start()
    expect(same.isRestored).toBe(true)
  },
)

test('a run with an edited migration does not start from the snapshot, but does once it is reverted', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  await project.take()
  await project.write(MIGRATION, 'CREATE TABLE books (title text, year integer)')
  const edited = await project.start()
  expect(edited.isRestored).toBe(false)
  expect(await ask(edited.postgres, 'SELECT count(year)::int FROM books')).toEqual([0])
  await edited.stop()
  await project.write(MIGRATION, BOOKS)
  expect((await project.start()).isRestored).toBe(true)
})

test('another project never starts from a snapshot of this one', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  await project.take()
  const other = await Project.create({ [MIGRATION]: BOOKS })
  expect((await other.start()).isRestored).toBe(false)
})

test.for<[string, InfraOptions]>([
  ['wal_level minimal', { postgres: { settings: { wal_level: 'minimal', max_wal_senders: 0 } } }],
  ['the maintenance database as the main one', { postgres: { database: 'postgres' } }],
  ['segments of 1 MB', { postgres: { initdbArgs: '--wal-segsize=1' } }],
  ['passwords on the socket, too', { postgres: { initdbArgs: '--auth=scram-sha-256' } }],
])('a snapshot can be taken and used with %s, including unlogged tables', async ([, options]) => {
  const project = await Project.create({ [MIGRATION]: `${BOOKS} ALTER TABLE books SET UNLOGGED;` })
  await project.take(options)
  const run = await project.start(options)
  expect(run.isRestored).toBe(true)
  expect(templatesOf(run)).toEqual({ default: 'found' })
  expect(await ask(run.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
})

test('a snapshot contains no changes of tests to the server or the main database', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const run = await project.start()
  await ask(run.postgres, 'CREATE ROLE left_behind')
  await ask(run.postgres, "ALTER SYSTEM SET work_mem = '5MB'")
  await ask(run.postgres, 'DELETE FROM books')
  await ask({ ...run.postgres, database: 'postgres' }, 'CREATE TABLE left_behind ()')
  await expect.poll(() => project.snapshots(), { timeout: 90_000 }).toHaveLength(1)
  await run.stop()

  const next = await project.start()
  expect(next.isRestored).toBe(true)
  expect(await ask(next.postgres, "SELECT rolname FROM pg_roles WHERE rolname = 'left_behind'")).toEqual([])
  expect(await ask(next.postgres, 'SHOW work_mem')).toEqual(['4MB'])
  expect(await ask(next.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
  const maintenance = { ...next.postgres, database: 'postgres' }
  expect(await ask(maintenance, "SELECT to_regclass('left_behind')::text")).toEqual([null])
})

test('a function without files runs in every run, on top of the snapshot', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  let calls = 0
  const seeds = async ({ pool }: SeedContext) => {
    calls += 1
    await pool.query('CREATE ROLE reader')
  }
  const options = { postgres: { seeds } }
  await project.take(options)
  const run = await project.start(options)
  expect(run.isRestored).toBe(true)
  expect(templatesOf(run)).toEqual({ default: 'built' })
  expect(calls).toBe(2)
  expect(await ask(run.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
})

test('no snapshot is taken with snapshot: false', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const run = await project.start({ snapshot: false })
  await run.stop()
  expect(await project.snapshots()).toEqual([])
  expect(run.events.filter(({ type }) => type.startsWith('snapshot'))).toEqual([])
})

test('a busy server leaves no snapshot, and the reason is reported', async () => {
  const project = await Project.create({ [MIGRATION]: "SELECT pg_create_physical_replication_slot('standby', true)" })
  const run = await project.start()
  await run.stop()
  expect(run.events).toContainEqual({
    type: 'snapshot-failed',
    service: 'postgres',
    reason: 'it has tablespaces, replication slots or prepared transactions',
  })
  expect(await project.snapshots()).toEqual([])
})

test("a snapshot's image does not contain the password", async () => {
  const project = await Project.create()
  const password = 'not-to-be-found-anywhere'
  const name = await project.take({ postgres: { password } })
  const image = (await engine()).dockerode.getImage(name)
  const saved = await image.get()
  let tail = ''
  let found = false
  let bytes = 0
  for await (const chunk of saved as AsyncIterable<Buffer>) {
    const text = tail + chunk.toString('latin1')
    found ||= text.includes(password)
    tail = text.slice(-password.length)
    bytes += chunk.length
  }
  expect(bytes).toBeGreaterThan(1_000_000)
  expect(found).toBe(false)
  expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain(password)
})

test.for([
  ['is truncated', 'truncate -s 1M /vitest-infra-snapshot/data.tar'],
  ['lacks its control file', 'rm /vitest-infra-snapshot/control/global/pg_control'],
  [
    'starts, but lacks the maintenance database',
    // The health gate asks the main one; what comes after it finds out.
    `cd /vitest-infra-snapshot && mkdir data && tar -xf data.tar -C data && cd data &&
     rm -r base/5 && tar -cf ../data.tar * && cd .. && rm -r data`,
  ],
] as const)('a snapshot that %s is discarded, and the run continues without it', async ([, script]) => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const name = await project.take()
  await project.damage(name, script)
  const run = await project.start()
  expect(run.events).toContainEqual({
    type: 'snapshot-discarded',
    service: 'postgres',
    reason: expect.stringMatching(/./),
  })
  expect(templatesOf(run)).toEqual({ default: 'built' })
  expect(await ask(run.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
  expect(await project.images.has(name)).toBe(false)
  await run.stop()
  await expect.poll(() => project.containers(), { timeout: 90_000 }).toEqual([])
})

test('a run that ends during a snapshot leaves no container, and a complete image or none', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const atOnce = await project.start()
  await atOnce.stop()
  await expect.poll(() => project.containers(), { timeout: 90_000 }).toEqual([])

  await Promise.all((await project.snapshots()).map((name) => project.images.remove(name)))
  const midway = await project.start()
  const making = async () => (await project.containers()).some((name) => name.endsWith('-snapshot'))
  await expect.poll(making, { timeout: 90_000, interval: 5 }).toBe(true)
  await midway.stop()
  await expect.poll(() => project.containers(), { timeout: 90_000 }).toEqual([])

  const left = await project.snapshots()
  const next = await project.start()
  expect(next.isRestored).toBe(left.length === 1)
  expect(await ask(next.postgres, 'SELECT title FROM books')).toEqual(['Emma'])
})

test('two runs at once take the same snapshot without disturbing each other', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const runs = await Promise.all([project.start(), project.start()])
  const idle = async () => [(await project.snapshots()).length, (await project.containers()).length]
  await expect.poll(idle, { timeout: 90_000 }).toEqual([1, 2])
  await Promise.all(runs.map((run) => run.stop()))
  expect(runs.flatMap(({ events }) => events.filter(({ type }) => type === 'snapshot-failed'))).toEqual([])
  expect((await project.start()).isRestored).toBe(true)
})

/** Writes while a server's data is copied for the first `limit` times, until the signal aborts. Returns the number of copies. */
async function writeDuringCopies({ postgres }: Run, limit: number, signal: AbortSignal): Promise<number> {
  const client = new pg.Client({ ...postgres })
  await client.connect()
  const copies = new Set<string>()
  while (!signal.aborted) {
    const { rows } = await client.query<{ begun: string }>(
      `SELECT query_start::text AS begun FROM pg_stat_activity
        WHERE state = 'active' AND starts_with(query, 'COPY (SELECT 1) TO PROGRAM')`,
    )
    for (const { begun } of rows) {
      copies.add(begun)
    }
    if (rows.length > 0 && copies.size <= limit) {
      await client.query("SELECT pg_logical_emit_message(false, 'test', 'written')")
    }
  }
  await client.end()
  return copies.size
}

test('data written during the copy is copied again, at most three times', async () => {
  const project = await Project.create({ [MIGRATION]: BOOKS })
  const run = await project.start({ snapshot: false })
  const copy = () => copyPostgresData(run.postgres, '/tmp/copy-of-a-test')

  let isOver = new AbortController()
  const twice = writeDuringCopies(run, 2, isOver.signal)
  await copy()
  isOver.abort()
  expect(await twice).toBe(3)

  isOver = new AbortController()
  const always = writeDuringCopies(run, Infinity, isOver.signal)
  await expect(copy()).rejects.toThrow('something was written while its data was copied')
  isOver.abort()
  expect(await always).toBe(3)
})

test('a run continues without a snapshot that another run removes first', async () => {
  const project = await Project.create()
  const name = await project.take()
  const { dockerode, found } = await engine()
  const { Id } = await dockerode.getImage('postgres:18-alpine').inspect()
  const snapshot = new DockerSnapshot({
    api: new EngineApi(found),
    guard: new StartGuard({ engine: found, runId: 'none', environment: process.env }),
    definition: { key: '', restore: '' },
    image: { id: Id, entrypoint: [], command: [], volumes: [] },
    root: project.root,
    name: 'vitest-infra-none',
    labels: {},
  })
  const [repo = '', tag = ''] = SnapshotImages.nameOf({ image: Id, root: project.root, key: '' }).split(':')
  await dockerode.getImage(name).tag({ repo, tag })
  const events: unknown[] = []
  const restored = await snapshot.start(
    async ({ image: Image }) => {
      await project.images.remove(Image, { force: true })
      return dockerode.createContainer({ Image })
    },
    { service: 'postgres', report: (event) => events.push(event) },
  )
  expect(restored).toBeUndefined()
  expect(events).toEqual([])
})

test('a project keeps its three newest snapshots', async () => {
  const project = await Project.create()
  const names: string[] = []
  for (const timezone of ['Asia/Tokyo', 'Europe/Berlin', 'Europe/Paris', 'Europe/Rome']) {
    names.push(await project.take({ postgres: { settings: { timezone } } }))
  }
  expect((await project.snapshots()).toSorted()).toEqual(names.slice(1).toSorted())
})

test('vitest-infra gc removes only snapshots, of all projects', async () => {
  const [project, other] = [await Project.create(), await Project.create()]
  const used = await project.take()
  await other.take()
  const images = async () => (await (await engine()).dockerode.listImages()).flatMap(({ RepoTags }) => RepoTags ?? [])
  const foreign = (await images()).filter((name) => !name.includes('snapshot'))
  const run = await project.start()

  // The engine may keep the image of a running server; it is removed once the server has stopped.
  expect((await runCli(['gc'])).stdout).toMatch(/^\d+ snapshots? removed(; \d+ snapshots? not removed, .*)?\n$/)
  expect(await other.snapshots()).toEqual([])
  expect(await ask(run.postgres, 'SELECT 1')).toEqual([1])
  await run.stop()
  await expect.poll(() => project.containers(), { timeout: 90_000 }).toEqual([])
  expect((await runCli(['gc'])).exitCode).toBe(0)
  expect(await project.images.has(used)).toBe(false)
  expect(await project.images.removeAll(project.root)).toEqual({ removed: 0, inUse: 0 })
  expect(await images()).toEqual(expect.arrayContaining(foreign))
})

test.for([
  [['--help'], 0],
  [[], 2],
  [['gc', 'more'], 2],
  [['--all'], 2],
] as const)('vitest-infra %o prints its usage and exits with %i', async ([args, code]) => {
  const { stdout, stderr, exitCode } = await runCli(args)
  expect(exitCode).toBe(code)
  expect(code === 0 ? stdout : stderr).toContain(
    args[0] === 'gc' ? 'Usage: vitest-infra gc' : 'Usage: vitest-infra <command>',
  )
})

test('vitest-infra gc exits with 1 if no engine answers', async () => {
  const { stderr, exitCode } = await runCli(['gc'], { DOCKER_HOST: 'unix:///nowhere.sock' })
  expect(exitCode).toBe(1)
  expect(stderr).toContain('unix:///nowhere.sock')
  expect(stderr).not.toContain('    at ')
})

test('a failed migration is reported as such, not blamed on the snapshot', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABEL books ()' })
  await expect(project.start()).rejects.toThrow(InfraError)
  expect(await project.snapshots()).toEqual([])
  await expect.poll(() => project.containers(), { timeout: 90_000 }).toEqual([])
})

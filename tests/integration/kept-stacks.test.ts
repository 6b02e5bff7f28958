import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import type { InfraOptions, SeedContext, SeedStep } from '../../src/config/infra-options.ts'
import { ask, engine, Project, type Run, testsOfOneProject } from '../support/snapshot-runs.ts'

const KEPT: InfraOptions = { services: ['postgres', 'redis'], snapshot: false, keepAlive: '1m' }
const MIGRATION = 'fixtures/postgres/migrations/1.sql'
const PATIENCE = { timeout: 20_000, interval: 50 }

/** A run that is over and has left its servers up. */
async function leave(project: Project, options: InfraOptions = {}, use?: (run: Run) => Promise<unknown>): Promise<Run> {
  const run = await project.start({ ...KEPT, ...options })
  await use?.(run)
  await run.stop()
  return run
}

function originsOf({ events }: Run): Record<string, string> {
  return Object.fromEntries(
    events.flatMap((event) => (event.type === 'service-healthy' ? [[event.service, event.origin]] : [])),
  )
}

function reasonsOf({ events }: Run): Record<string, string> {
  return Object.fromEntries(
    events.flatMap((event) => (event.type === 'service-replaced' ? [[event.service, event.reason]] : [])),
  )
}

async function askRedis<T>({ facts }: Run, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: facts.redis.host, port: facts.redis.port })
  return work(client).finally(() => client.disconnect())
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function control(container: string | undefined, action: 'pause' | 'kill', signal?: string): Promise<void> {
  const { dockerode } = await engine()
  await dockerode.getContainer(container ?? '')[action](signal === undefined ? {} : { signal })
}

const changedTest = testsOfOneProject()
const usedTest = testsOfOneProject()
const lostTest = testsOfOneProject()
const maintenanceTest = testsOfOneProject()

const BOTH = { postgres: 'earlier run', redis: 'earlier run' }

test('a run reuses the servers of the previous run without its data', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABLE visits (page text)' })
  const first = await leave(project, {}, async (run) => {
    await ask(run.postgres, "INSERT INTO visits VALUES ('/')")
    await ask(run.postgres, 'CREATE TABLE scratch ()')
    await ask(run.postgres, 'CREATE DATABASE vitest_infra_0badcafe_1_1')
    await askRedis(run, (client) => client.set('visits', 1))
    await askRedis(run, (client) => client.script('LOAD', 'return 1'))
  })
  const before = await project.containers()
  const second = await project.start(KEPT)
  expect(originsOf(second)).toEqual(BOTH)
  expect(second.facts).toEqual(first.facts)
  expect(await project.containers()).toEqual(before)
  expect(await ask(second.postgres, "SELECT relname FROM pg_class WHERE relname IN ('visits', 'scratch')")).toEqual([
    'visits',
  ])
  expect(await ask(second.postgres, 'SELECT * FROM visits')).toEqual([])
  expect(await askRedis(second, (client) => client.dbsize())).toBe(0)
  const left = "SELECT datname FROM pg_database WHERE datname LIKE 'vitest\\_infra\\_0badcafe\\_%'"
  await expect.poll(() => ask(second.postgres, left), PATIENCE).toEqual([])
})

test('a client in a reused main database is cut off and does not delay the run', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABLE visits (page text)' })
  const { postgres } = await leave(project, { services: ['postgres'] })
  const { host, port, user, password, database } = postgres
  const client = new pg.Client({ host, port, user, password, database })
  const cutOff = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await client.query("INSERT INTO visits VALUES ('/')")
  const next = await project.start({ ...KEPT, services: ['postgres'] })
  expect(originsOf(next)).toEqual({ postgres: 'earlier run' })
  expect(await ask(next.postgres, 'SELECT * FROM visits')).toEqual([])
  expect(await cutOff).toBeInstanceOf(Error)
})

changedTest.for<[string, InfraOptions]>([
  ['setting of PostgreSQL', { postgres: { settings: { work_mem: '5MB' } } }],
  ['password', { postgres: { password: 'another' } }],
  ['main database', { postgres: { database: 'other' } }],
  ['healthcheck', { postgres: { healthcheck: { interval: '6s' } } }],
  ['isolation', { postgres: { isolation: 'server' } }],
  ['label', { labels: { team: 'green' } }],
])('with another %s a run starts a PostgreSQL of its own', async ([, options], { project }) => {
  const first = await leave(project)
  const changed = await leave(project, options)
  expect(originsOf(changed)).toMatchObject({ postgres: 'new' })
  expect(changed.containers['postgres']).not.toBe(first.containers['postgres'])
  const back = await leave(project)
  expect(originsOf(back)).toEqual(BOTH)
  expect(back.containers).toEqual(first.containers)
})

test('with other arguments a run starts a Redis of its own', async () => {
  const project = await Project.create()
  await leave(project)
  const changed = await leave(project, { redis: { args: ['--maxmemory', '64mb'] } })
  expect(originsOf(changed)).toEqual({ postgres: 'earlier run', redis: 'new' })
})

test('an idle server on a pinned port gives way to another one of its project', async () => {
  const project = await Project.create()
  const redis = { port: await findFreePort() }
  await leave(project, { services: ['redis'], redis })
  const changed = await project.start({
    ...KEPT,
    services: ['redis'],
    redis: { ...redis, args: ['--maxmemory', '1gb'] },
  })
  expect(originsOf(changed)).toEqual({ redis: 'new' })
  await expect(project.start({ ...KEPT, services: ['redis'], redis })).rejects.toMatchObject({
    code: 'INFRA_PORT_TAKEN',
    message: expect.stringContaining(changed.containers['redis'] ?? '') as string,
  })
})

test('another project does not reuse the servers of this one', async () => {
  await leave(await Project.create())
  expect(originsOf(await leave(await Project.create()))).toEqual({ postgres: 'new', redis: 'new' })
})

test('a newly pulled image with the same name starts a new server', async () => {
  const { dockerode } = await engine()
  const [repo, tag] = ['vitest-infra-test', Math.random().toString(36).slice(2, 10)]
  const image = `${repo}:${tag}`
  await dockerode.getImage('redis:8-alpine').tag({ repo, tag })
  onTestFinished(() => dockerode.getImage(image).remove({ force: true }))
  const project = await Project.create()
  const options: InfraOptions = { services: ['redis'], redis: { image } }
  await leave(project, options)
  expect(originsOf(await leave(project, options))).toEqual({ redis: 'earlier run' })
  const container = await dockerode.createContainer({ Image: image })
  await container.commit({ _query: { container: container.id, repo, tag }, _body: { Labels: { pulled: 'anew' } } })
  await container.remove()
  expect(originsOf(await leave(project, options))).toEqual({ redis: 'new' })
})

test('a changed migration is run on the same server', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABLE one ()' })
  const first = await leave(project)
  await project.write(MIGRATION, 'CREATE TABLE two ()')
  const second = await leave(project, {}, async (run) => {
    expect(await ask(run.postgres, "SELECT relname FROM pg_class WHERE relname IN ('one', 'two')")).toEqual(['two'])
  })
  expect(second.containers).toEqual(first.containers)
  await project.write(MIGRATION, 'CREATE TABLE one ()')
  const third = await leave(project)
  expect(third.containers).toEqual(first.containers)
  expect(third.events).toContainEqual(expect.objectContaining({ type: 'template-ready', isNew: false }))
})

test('a function without a key runs in each run, and the steps before it only once', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABLE users (id int)' })
  let count = 10
  const seeds = ({ pool }: SeedContext) => pool.query(`INSERT INTO users SELECT generate_series(1, ${count})`)
  const options: InfraOptions = { services: ['postgres'], postgres: { seeds } }
  const templates = (run: Run) =>
    ask(run.postgres, "SELECT datname FROM pg_database WHERE datname ~ '_t_[0-9a-f]{24}$' ORDER BY oid")
  const first = await leave(project, options, async (run) => {
    expect(await ask(run.postgres, 'SELECT count(*)::int FROM users')).toEqual([10])
  })
  count = 20
  const second = await project.start({ ...KEPT, ...options })
  expect(second.containers).toEqual(first.containers)
  expect(await ask(second.postgres, 'SELECT count(*)::int FROM users')).toEqual([20])
  const [common] = await templates(second)
  expect(common).toMatch(/^vitest_infra_t_/)
  // The one of the run before goes with its other databases.
  await expect
    .poll(() => templates(second), PATIENCE)
    .toEqual([common, expect.stringMatching(/^vitest_infra_[0-9a-f]{8}_t_/)])
})

test('a template of a function with a key is built once', async () => {
  const project = await Project.create({ 'users.txt': 'ada' })
  const users = (count: number): SeedStep => ({
    name: 'users',
    key: `${count} users`,
    files: ['users.txt'],
    run: ({ pool }) => pool.query(`CREATE TABLE users AS SELECT generate_series(1, ${count})`),
  })
  const isNew = ({ events }: Run) => events.flatMap((event) => (event.type === 'template-ready' ? [event.isNew] : []))
  const count = (run: Run) => ask(run.postgres, 'SELECT count(*)::int FROM users')
  const start = (seeds: SeedStep) =>
    leave(project, { services: ['postgres'], postgres: { seeds } }, async (run) => {
      counts.push(...(await count(run)))
    })
  const counts: unknown[] = []
  const runs = [await start(users(10)), await start(users(10)), await start(users(20))]
  await project.write('users.txt', 'grace')
  runs.push(await start(users(20)))
  expect(runs.map(isNew)).toEqual([[true], [false], [true], [true]])
  expect(counts).toEqual([10, 10, 20, 20])
})

test('only the newest templates stay', async () => {
  const project = await Project.create()
  const templates = (run: Run) =>
    ask(run.postgres, "SELECT datname FROM pg_database WHERE datname LIKE '%\\_t\\_%' ORDER BY oid")
  const all: unknown[] = []
  for (let version = 1; version <= 10; version += 1) {
    await project.write(MIGRATION, `CREATE TABLE version_${version} ()`)
    await leave(project, { services: ['postgres'] }, async (run) => {
      all.push((await templates(run)).at(-1))
      await expect.poll(() => templates(run), PATIENCE).toEqual(all.slice(-8))
    })
  }
})

usedTest.for([
  ['made a role', 'CREATE ROLE somebody'],
  ['changed a setting of the server', "ALTER SYSTEM SET work_mem = '7MB'"],
  ['changed a setting of a role', "ALTER ROLE postgres SET work_mem = '7MB'"],
  ['made a database', 'CREATE DATABASE somewhere'],
] as const)('a PostgreSQL is replaced if a user %s', async ([, statement], { project }) => {
  const first = await leave(project, { services: ['postgres'] }, (run) => ask(run.postgres, statement))
  const second = await leave(project, { services: ['postgres'] })
  expect(originsOf(second)).toEqual({ postgres: 'new' })
  expect(reasonsOf(second)).toEqual({
    postgres: 'roles, settings or other things that belong to no database were changed',
  })
  expect(await project.containers()).not.toContain(`/${first.containers['postgres']}`)
})

test('roles and settings of a migration stay for the next run, until the migration changes', async () => {
  const roles = 'SELECT rolname FROM pg_roles WHERE oid >= 16384 ORDER BY oid'
  const project = await Project.create({
    [MIGRATION]:
      "CREATE ROLE reader; CREATE TABLE one (); GRANT SELECT ON one TO reader; ALTER SYSTEM SET work_mem = '7MB'",
  })
  const options: InfraOptions = { services: ['postgres'] }
  const first = await leave(project, options)
  const second = await leave(project, options)
  expect(originsOf(second)).toEqual({ postgres: 'earlier run' })
  await project.write(
    MIGRATION,
    'CREATE ROLE reader; CREATE ROLE writer; CREATE TABLE two (); GRANT SELECT ON two TO reader',
  )
  const third = await leave(project, options, async (run) => {
    // A role of before that something still belongs to is renamed, and dropped with that.
    await expect.poll(() => ask(run.postgres, roles), PATIENCE).toEqual(['reader', 'writer'])
    expect(await ask(run.postgres, "SELECT has_table_privilege('reader', 'two', 'SELECT')")).toEqual([true])
    expect(await ask(run.postgres, 'SHOW work_mem')).toEqual(['4MB'])
  })
  expect(originsOf(third)).toEqual({ postgres: 'earlier run' })
  await project.write(MIGRATION, 'CREATE TABLE three ()')
  const fourth = await leave(project, options, async (run) => {
    await expect.poll(() => ask(run.postgres, roles), PATIENCE).toEqual([])
  })
  expect(fourth.containers).toEqual(first.containers)
})

test('a failed migration or seed does not replace a reused server', async () => {
  const project = await Project.create({ [MIGRATION]: 'CREATE ROLE reader; CREATE TABLE one ()' })
  const first = await leave(project)
  await project.write(MIGRATION, 'CREATE ROLE reader; CREATE ROLE writer; CREATE TABLE two; SELECT 1')
  for (const run of [1, 2]) {
    await expect(project.start(KEPT), `run ${run}`).rejects.toMatchObject({
      code: 'INFRA_SEED_FAILED',
      service: 'postgres',
    })
  }
  await project.write(MIGRATION, 'CREATE ROLE reader; CREATE TABLE two ()')
  await project.write('fixtures/redis/1.redis', 'SETT page 1')
  await expect(project.start(KEPT)).rejects.toMatchObject({ code: 'INFRA_SEED_FAILED', service: 'redis' })
  await project.write('fixtures/redis/1.redis', 'SET page 1')
  const last = await leave(project, {}, async (run) => {
    expect(await ask(run.postgres, "SELECT relname FROM pg_class WHERE relname IN ('one', 'two')")).toEqual(['two'])
    expect(await askRedis(run, (client) => client.get('page'))).toBe('1')
  })
  expect(originsOf(last)).toEqual(BOTH)
  expect(last.containers).toEqual(first.containers)
})

usedTest.for([
  ['setting', (client: Redis) => client.config('SET', 'maxmemory-policy', 'allkeys-lru')],
  ['user', (client: Redis) => client.call('ACL', 'SETUSER', 'somebody', 'on', 'nopass', '~*', '+@all')],
] as const)('a Redis with a changed %s is replaced', async ([, change], { project }) => {
  await leave(project, { services: ['redis'] }, (run) => askRedis(run, change))
  const second = await leave(project, { services: ['redis'] })
  expect(originsOf(second)).toEqual({ redis: 'new' })
  expect(reasonsOf(second)).toEqual({ redis: 'its settings or its users were changed' })
})

lostTest.for([
  ['is paused', 'pause', undefined],
  ['hangs', 'kill', 'SIGSTOP'],
  ['has ended', 'kill', 'SIGKILL'],
] as const)('a server that %s is replaced', async ([, action, signal], { project }) => {
  const first = await leave(project)
  await control(first.containers['postgres'], action, signal)
  await control(first.containers['redis'], action, signal)
  const second = await leave(project)
  expect(originsOf(second)).toEqual({ postgres: 'new', redis: 'new' })
  const gone = Object.values(first.containers).map((name) => `/${name}`)
  await expect
    .poll(async () => (await project.containers()).filter((name) => gone.includes(name)), PATIENCE)
    .toEqual([])
})

test('runs at the same time never meet', async () => {
  const project = await Project.create()
  await leave(project)
  const runs = await Promise.all([1, 2, 3].map(() => project.start(KEPT)))
  for (const service of ['postgres', 'redis']) {
    expect(new Set(runs.map(({ containers }) => containers[service])).size).toBe(runs.length)
    expect(runs.filter((run) => originsOf(run)[service] === 'earlier run')).toHaveLength(1)
  }
  await Promise.all(runs.map((run) => run.stop()))
  const next = await Promise.all([1, 2, 3].map(() => leave(project)))
  expect(next.map(originsOf)).toEqual([BOTH, BOTH, BOTH])
})

test('unused servers stop after their keepAlive time', async () => {
  const project = await Project.create()
  const first = await project.start({ ...KEPT, keepAlive: '2s' })
  // Longer than that, but in use.
  await sleep(4_000)
  expect(await ask(first.postgres, 'SELECT 1')).toEqual([1])
  await first.stop()
  expect(await project.containers()).toHaveLength(2)
  const second = await project.start({ ...KEPT, keepAlive: '2s' })
  expect(originsOf(second)).toEqual(BOTH)
  await sleep(4_000)
  expect(await ask(second.postgres, 'SELECT 1')).toEqual([1])
  await second.stop()
  await expect.poll(() => project.containers(), PATIENCE).toEqual([])
})

test('a run without keepAlive reuses running servers and leaves them up', async () => {
  const project = await Project.create()
  const first = await leave(project)
  const { keepAlive: _, ...once } = KEPT
  const run = await project.start(once)
  expect(originsOf(run)).toEqual(BOTH)
  await run.stop()
  expect((await leave(project)).containers).toEqual(first.containers)
})

test('a run without keepAlive and without running servers leaves nothing', async () => {
  const project = await Project.create()
  const { keepAlive: _, ...once } = KEPT
  await (await project.start(once)).stop()
  await expect.poll(() => project.containers(), PATIENCE).toEqual([])
})

test.for<[string, InfraOptions]>([
  ['the maintenance database', { postgres: { database: 'postgres' } }],
  ['beside a database of its user', { postgres: { user: 'somebody', database: 'app' } }],
])('the main database may be %s', async ([, options]) => {
  const project = await Project.create({ [MIGRATION]: 'CREATE TABLE visits (page text)' })
  const given: InfraOptions = { ...options, services: ['postgres'] }
  const user = { ...options.postgres }.user ?? 'postgres'
  await leave(project, given, async ({ postgres }) => {
    await ask(postgres, "INSERT INTO visits VALUES ('/')")
    await ask({ ...postgres, database: user }, 'CREATE TABLE scratch ()')
  })
  await leave(project, given, async (run) => {
    expect(originsOf(run)).toEqual({ postgres: 'earlier run' })
    expect(await ask(run.postgres, 'SELECT * FROM visits')).toEqual([])
    const scratch = "SELECT relname FROM pg_class WHERE relname = 'scratch'"
    expect(await ask({ ...run.postgres, database: user }, scratch)).toEqual([])
  })
})

maintenanceTest.for([
  'REVOKE TEMP ON DATABASE postgres FROM PUBLIC',
  'ALTER DATABASE postgres CONNECTION LIMIT 50',
  "COMMENT ON DATABASE postgres IS 'ours'",
  'ALTER DATABASE template1 ALLOW_CONNECTIONS false',
  'ALTER ROLE postgres NOREPLICATION',
  'GRANT SET ON PARAMETER log_statement TO PUBLIC',
  'GRANT CREATE ON SCHEMA information_schema TO PUBLIC',
])('a server is replaced after "%s"', async (statement, { project }) => {
  const given: InfraOptions = { services: ['postgres'], postgres: { database: 'postgres' } }
  await leave(project, given, ({ postgres }) => ask(postgres, statement))
  await leave(project, given, async (run) => {
    expect(originsOf(run)).toEqual({ postgres: 'new' })
    expect(Object.keys(reasonsOf(run))).toEqual(['postgres'])
  })
})

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { redisUrl } from '../../../src/environment/variable-set.ts'
import { systemClock } from '../../../src/internal/clock.ts'
import { ClaimedRedisDatabases } from '../../../src/external/claimed-redis-databases.ts'
import { LateCommands } from '../../../src/databases/late-commands.ts'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { openRedis, withRedis } from '../../../src/services/redis.ts'
import { type SomebodysServers, startSomebodysServers, UNTOUCHED } from '../../support/somebodys-servers.ts'
import { claimRedis, startExternal } from './external-support.ts'

const RELEASE_INFO = { isUserGone: false, owner: 'a.test.ts' }
const LEASE = { project: '', owner: 'a', span: 'file', wants: ['redis'], template: 'default', reuse: false } as const

let servers: SomebodysServers

beforeAll(async () => {
  servers = await startSomebodysServers({ redisDatabases: 6 })
})
afterAll(() => servers.stop())
// First to be asked for and so last to be done, when all that a test has claimed is released.
beforeEach(({ onTestFinished: atEnd }) => atEnd(() => servers.assertUntouched()))

function inDatabase<T>(database: number, work: Parameters<typeof withRedis<T>>[1]): Promise<T> {
  return withRedis({ ...servers.redis, database }, work)
}

/** The databases that a run has claimed, for as long as the test lasts. */
function openDatabases(
  claims: Awaited<ReturnType<typeof claimRedis>>,
  onClientsLeft: (owner: string) => void = () => {},
): Promise<ClaimedRedisDatabases> {
  const closing = new AbortController()
  onTestFinished(() => closing.abort())
  return ClaimedRedisDatabases.open({
    address: servers.redis,
    claims,
    seed: async () => {},
    clock: systemClock,
    onWaiting: () => {},
    onClientsLeft,
    late: new LateCommands(() => {}),
    signal: closing.signal,
  })
}

test('database 0 and databases with foreign keys are never claimed, however many are needed', async () => {
  const claims = await claimRedis(servers)
  expect(await claims.claim(5)).toEqual([])
  expect(new Set(await claims.claim(4))).toEqual(new Set([1, 2, 4, 5]))
  expect(await claims.claim(1)).toEqual([])
  expect(await (await claimRedis(servers)).claim(1)).toEqual([])
})

test('an unclaimed database is never emptied', async () => {
  const claims = await claimRedis(servers)
  const refusal = { code: 'INFRA_LEASE_FAILED', message: expect.stringContaining("this run's claim to it is lost") }
  await expect(claims.flush(3)).rejects.toMatchObject(refusal)
  await expect(claims.flush(0)).rejects.toMatchObject(refusal)
  await claims.release(3)
  await claims.release(0)
})

test("a claim taken over by another run is lost, and that run's keys are safe", async () => {
  const [slow, quick] = [await claimRedis(servers), await claimRedis(servers)]
  const [database = 0] = await slow.claim(1)
  await inDatabase(0, (client) => client.del(`vitest-infra:claim:${database}`, `vitest-infra:owner:${database}`))
  const taken = await quick.claim(4)
  expect(taken).toContain(database)
  await inDatabase(database, (client) => client.set('theirs', 1))
  await expect(slow.flush(database)).rejects.toMatchObject({ code: 'INFRA_LEASE_FAILED' })
  await slow.release(database)
  expect(await inDatabase(database, (client) => client.get('theirs'))).toBe('1')
})

test("a run's leftovers are swept only after its claim has expired and its connection has closed", async () => {
  const next = await claimRedis(servers)
  const left = await openRedis(servers.redis, 'vitest-infra-aaaaaaaa')
  onTestFinished(() => left.disconnect())
  const keys = async () => (await servers.look()).keys.filter((key) => !UNTOUCHED.keys.includes(key))
  await left.mset('vitest-infra:claim:2', 'aaaaaaaa', 'vitest-infra:owner:2', 'aaaaaaaa')
  await inDatabase(2, (client) => client.set('left', 1))
  await next.sweep()
  expect(await keys()).toContain('2 left=1')
  // As if it had been frozen for longer than a claim lasts.
  await inDatabase(0, (client) => client.del('vitest-infra:claim:2'))
  await next.sweep()
  expect(await keys()).toEqual(['0 vitest-infra:owner:2=aaaaaaaa', '2 left=1'])
  const connections = async () => String(await inDatabase(0, (client) => client.client('LIST')))
  left.disconnect()
  await expect.poll(connections).not.toContain('name=vitest-infra-aaaaaaaa')
  await next.sweep()
  expect(await keys()).toEqual([])
})

test('a stack leases free databases, and a refused control of the server gives the reason', async () => {
  const infra = startExternal(servers, { services: ['redis'] })
  const { facts, socket } = await infra.up
  const client = await openLeaseClient(socket)
  const one = await client.acquire(LEASE)
  const { redis } = one.facts
  expect(redis.url).toBe(redisUrl({ ...servers.redis, database: redis.database }))
  expect([1, 2, 4, 5]).toEqual(expect.arrayContaining([redis.database, facts.redis.database]))
  expect(redis.database).not.toBe(facts.redis.database)
  await withRedis(redis, (connection) => connection.set('a', 1))
  await client.reset(one.lease, 'b')
  expect(await withRedis(redis, (connection) => connection.dbsize())).toBe(0)
  await expect(client.control(one.lease, 'redis', 'stop')).rejects.toThrow(
    `Cannot stop service "redis": it was there before the run, and others may use it\nUse provider 'docker' or 'embedded' for tests that stop or restart servers`,
  )
  await infra.stop()
})

test("a late client in a claimed database is named, other runs' clients are not", async () => {
  const infra = startExternal(servers, { services: ['redis'] })
  const { socket } = await infra.up
  const client = await openLeaseClient(socket)
  const { lease, facts } = await client.acquire(LEASE)
  const [late, foreign] = [await openRedis(facts.redis, 'late'), await openRedis(servers.redis, 'foreign')]
  onTestFinished(() => [late, foreign].forEach((connection) => connection.disconnect()))
  await client.idle(lease)
  await late.set('stray', 1)
  await foreign.ping()
  await foreign.dbsize()
  await client.reset(lease, 'b')
  expect(infra.events.filter(({ type }) => type === 'statements-late')).toEqual([
    {
      type: 'statements-late',
      service: 'redis',
      file: 'a',
      isFirst: true,
      statements: [{ session: 'late', query: 'set stray 1' }],
    },
  ])
  await infra.stop()
})

test('a reused database is unchanged if requested so, and emptied otherwise', async () => {
  const [claims, others] = [await claimRedis(servers), await claimRedis(servers)]
  const databases = await openDatabases(claims)
  await others.claim(2)
  const first = await databases.acquire({ reuse: true })
  await withRedis(first, (client) => client.set('mine', 1))
  databases.release(first, RELEASE_INFO)
  expect(await databases.acquire({ reuse: true })).toEqual(first)
  expect(await withRedis(first, (client) => client.get('mine'))).toBe('1')
  databases.release(first, RELEASE_INFO)
  expect(await databases.acquire({ reuse: false })).toEqual(first)
  expect(await withRedis(first, (client) => client.dbsize())).toBe(0)
})

test('a database with a client of an earlier lease is not leased, in this run or others', async () => {
  const [claims, others] = [await claimRedis(servers), await claimRedis(servers)]
  const visited: string[] = []
  const databases = await openDatabases(claims, (owner) => visited.push(owner))
  const first = await databases.acquire({ reuse: false })
  const left = await openRedis(first, 'left')
  onTestFinished(() => left.disconnect())
  await left.set('stray', 1)
  databases.release(first, RELEASE_INFO)
  await databases.settle()
  expect(visited).toEqual(['a.test.ts'])
  // Of four, the run holds the main one as well.
  const second = await databases.acquire({ reuse: false })
  const [third = 0] = await others.claim(1)
  expect(await others.claim(1)).toEqual([])
  expect(new Set([databases.main.database, first.database, second.database, third]).size).toBe(4)
  const next = databases.acquire({ reuse: false })
  left.disconnect()
  expect(await next).toEqual(first)
  expect(await withRedis(first, (client) => client.dbsize())).toBe(0)
})

test('a user without the rights to claim is refused with the reason', async () => {
  const user = { user: 'reader', password: 'one-who-reads' }
  await inDatabase(0, (client) =>
    client.call('ACL', 'SETUSER', user.user, 'on', `>${user.password}`, '~*', '+@read', '+@connection', '+info'),
  )
  onTestFinished(async () => void (await inDatabase(0, (client) => client.call('ACL', 'DELUSER', user.user))))
  const external = { redis: redisUrl({ ...servers.redis, ...user }) }
  const infra = startExternal(servers, { services: ['redis'], external })
  const error = await infra.up.catch((reason: unknown) => reason)
  expect(error).toMatchObject({
    code: 'INFRA_ROLE_REFUSED',
    message: expect.stringMatching(/^Cannot claim databases .*: NOPERM .*\nLet user "reader" run EVAL, /),
  })
  expect(String(error)).not.toContain(user.password)
})

test('a run without a free database waits for one and can be aborted', async () => {
  const claims = await claimRedis(servers)
  await claims.claim(3)
  const infra = startExternal(servers, { services: ['redis'] })
  await expect.poll(() => infra.events.some(({ type }) => type === 'service-healthy')).toBe(true)
  await infra.stop()
  await expect(infra.up).rejects.toMatchObject({ code: 'INFRA_START_ABORTED' })
})

test.for(['FLUSHALL', 'SELECT 3', 'SWAPDB 1 3', 'CONFIG SET maxmemory 1', 'COPY a b DB 3', 'EVAL "return 1" 0'])(
  'a seed cannot %s',
  async (command) => {
    const root = await mkdtemp(join(tmpdir(), 'external-'))
    onTestFinished(() => rm(root, { recursive: true }))
    await mkdir(join(root, 'fixtures/redis'), { recursive: true })
    await writeFile(join(root, 'fixtures/redis/1.redis'), `SET a 1\n${command}\n`)
    const infra = startExternal(servers, { services: ['redis'] }, { root })
    await expect(infra.up).rejects.toMatchObject({
      code: 'INFRA_SEED_FAILED',
      message: expect.stringMatching(/1\.redis:2.*it affects more than the database of the lease/s),
    })
    await infra.stop()
  },
)

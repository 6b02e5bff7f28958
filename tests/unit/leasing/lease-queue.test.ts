import { expect, test, vi } from 'vitest'
import { limitDatabases, limitSharedDatabases, limitRedises } from '../../../src/leasing/lease-limit.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { openLeasing, REQUEST } from './lease-support.ts'

const FILE = { ...REQUEST, wants: ['postgres'] } as const
const TEST = { ...FILE, owner: 'a.test.ts > one', span: 'test' } as const
const MEGABYTE = 1024 * 1024

function limitTo(count: number) {
  return { postgres: { count, reason: 'the server is small', remedy: 'Raise max_connections' } }
}

test('a request at the limit waits for the first release, in order, and reports the wait', async () => {
  const { open, databases, shortages } = await openLeasing(limitTo(2))
  const [one, two] = [await open(), await open()]
  const [first] = [await one.acquire(FILE), await two.acquire({ ...FILE, owner: 'b.test.ts' })]
  const granted: number[] = []
  const others = [3, 4].map(async (number) => {
    await (await open()).acquire({ ...FILE, owner: `${number}.test.ts` })
    granted.push(number)
  })
  await vi.waitFor(() => expect(shortages).toHaveLength(1))
  expect(shortages[0]).toMatchObject({ service: 'postgres', count: 2, reason: 'the server is small' })
  expect([databases.out.size, granted]).toEqual([2, []])
  await one.release(first.lease)
  await vi.waitFor(() => expect(granted).toHaveLength(1))
  expect(databases.out.size).toBe(2)
  await two.release(2)
  await Promise.all(others)
})

test("a dead worker's leases are released", async () => {
  const { dial, open } = await openLeasing(limitTo(1))
  const { socket } = await dial()
  socket.write(`${JSON.stringify({ id: 1, method: 'acquire', args: [FILE] })}\n`)
  await vi.waitFor(() => expect(socket.bytesRead).toBeGreaterThan(0))
  const waiting = (await open()).acquire(FILE)
  socket.destroy()
  expect(await waiting).toMatchObject({ template: 'default' })
})

test('a wait that cannot end is an error with the reason', async () => {
  const { open, databases } = await openLeasing(limitTo(1))
  const client = await open()
  await client.acquire(FILE)
  expect(await catchInfraError(() => client.acquire(TEST))).toMatchObject({
    code: 'INFRA_LEASE_LIMIT',
    message: `Cannot lease from service "postgres" for a.test.ts > one: there is room for 1 at once (the server is small), and those who have them wait for more: a.test.ts
Raise max_connections`,
  })
  expect(databases.out.size).toBe(1)
})

test('the last of several files in a deadlock fails, and the others continue', async () => {
  const { open } = await openLeasing(limitTo(2))
  const [one, two] = [await open(), await open()]
  const [, second] = [await one.acquire(FILE), await two.acquire({ ...FILE, owner: 'b.test.ts' })]
  const waiting = one.acquire(TEST)
  const refused = await catchInfraError(() => two.acquire({ ...TEST, owner: 'b.test.ts > one' }))
  expect(refused.code).toBe('INFRA_LEASE_LIMIT')
  await two.release(second.lease)
  expect(await waiting).toMatchObject({ template: 'default' })
})

test('tests of one file wait for each other while one of them has its leases', async () => {
  const { open } = await openLeasing(limitTo(2))
  const client = await open()
  await client.acquire(FILE)
  const first = await client.acquire(TEST)
  const waiting = [1, 2].map((number) => client.acquire({ ...TEST, owner: `a.test.ts > ${number}` }))
  await client.release(first.lease)
  const second = await Promise.race(waiting)
  await client.release(second.lease)
  expect(await Promise.all(waiting)).toHaveLength(2)
})

test('a lease ahead of a test takes no slot until the test begins', async () => {
  const { open, databases } = await openLeasing(limitTo(2))
  const [one, other] = [await open(), await open()]
  await one.acquire(FILE)
  const running = await one.acquire({ ...TEST, test: '1' })
  const next = await one.acquire({ ...TEST, isAhead: true })
  expect(databases.out.size).toBe(3)
  const begun: string[] = []
  const waiting = other.acquire({ ...FILE, owner: 'b.test.ts' }).then((lease) => {
    begun.push('file')
    return lease
  })
  const beginning = one.begin(next.lease, 'a.test.ts > two', '2').then(() => begun.push('two'))
  await one.release(running.lease)
  const file = await waiting
  expect(begun).toEqual(['file'])
  await other.release(file.lease)
  await beginning
  expect(begun).toEqual(['file', 'two'])
})

test('a lease ahead that is released before its test frees no slot', async () => {
  const { open, databases } = await openLeasing(limitTo(2))
  const client = await open()
  await client.acquire(FILE)
  await client.acquire({ ...TEST, test: '1' })
  const next = await client.acquire({ ...TEST, isAhead: true })
  const granted: string[] = []
  const waiting = client.acquire({ ...TEST, test: '2' }).then(() => granted.push('2'))
  await client.release(next.lease)
  // Answered after the release would have taken effect.
  await client.finish(1, FILE.owner)
  expect([granted, databases.out.size]).toEqual([[], 2])
  await client.release(2)
  await waiting
})

test("a dead worker's request is dropped and does not delay the next one", async () => {
  const { dial, open, shortages } = await openLeasing(limitTo(1))
  const client = await open()
  const { lease } = await client.acquire(FILE)
  const { socket, closed } = await dial()
  socket.write(`${JSON.stringify({ id: 1, method: 'acquire', args: [{ ...FILE, owner: 'gone.test.ts' }] })}\n`)
  await vi.waitFor(() => expect(shortages).toMatchObject([{ owner: 'gone.test.ts' }]))
  const waiting = (await open()).acquire({ ...FILE, owner: 'b.test.ts' })
  socket.destroy()
  await closed
  await client.finish(lease, FILE.owner)
  await client.release(lease)
  // No database was acquired for the dead worker.
  expect((await waiting).facts.postgres.database).toBe('db2')
})

test('the last of several tests in a deadlock of two queues fails, and the other continues', async () => {
  const redis = { count: 2, reason: 'two servers', remedy: 'Raise maxWorkers' }
  const { open } = await openLeasing({ ...limitTo(2), redis })
  const client = await open()
  await client.acquire({ ...FILE, wants: ['postgres', 'redis'] })
  const [one, two] = [
    { ...TEST, test: '1' },
    { ...TEST, owner: 'a.test.ts > two', test: '2' },
  ]
  await client.acquire(one)
  const held = await client.acquire({ ...two, wants: ['redis'] })
  const waiting = client.acquire({ ...one, wants: ['redis'] })
  const refused = await catchInfraError(() => client.acquire(two))
  expect(refused.code).toBe('INFRA_LEASE_LIMIT')
  await client.release(held.lease)
  expect(await waiting).toMatchObject({ template: 'default' })
})

test('a test that waits for a running test is no deadlock', async () => {
  const redis = { count: 2, reason: 'two servers', remedy: 'Raise maxWorkers' }
  const { open } = await openLeasing({ ...limitTo(2), redis })
  const client = await open()
  await client.acquire({ ...FILE, wants: ['postgres', 'redis'] })
  await client.acquire({ ...TEST, test: '1' })
  const other = await client.acquire({ ...TEST, test: '2', wants: ['redis'] })
  const [redisOfOne, databaseOfThree] = [
    client.acquire({ ...TEST, test: '1', wants: ['redis'] }),
    client.acquire({ ...TEST, test: '3' }),
  ]
  await client.release(other.lease)
  const { lease } = await redisOfOne
  await client.release(lease)
  await client.release(2)
  expect(await databaseOfThree).toMatchObject({ template: 'default' })
})

test('a failed request frees its slot', async () => {
  const { open, databases } = await openLeasing(limitTo(1))
  databases.gate = () => Promise.reject(new Error('disk full'))
  const client = await open()
  await expect(client.acquire(FILE)).rejects.toThrow('disk full')
  databases.gate = async () => {}
  expect(await client.acquire(FILE)).toMatchObject({ template: 'default' })
})

test('limitDatabases() uses the lower limit, of connections or memory', () => {
  const room = { maxConnections: 500, templateBytes: 8 * MEGABYTE, freeBytes: undefined, workers: 2 }
  expect(limitDatabases(room)).toMatchObject({
    count: 48,
    reason: 'max_connections is 500, and a lease is reckoned with 10',
  })
  expect(limitDatabases({ ...room, freeBytes: 12_000 * MEGABYTE }).count).toBe(48)
  expect(limitDatabases({ ...room, freeBytes: 100 * MEGABYTE })).toMatchObject({
    count: 3,
    reason: '100 MB are free for data, and a clone of 8 MB is reckoned with 32 MB',
  })
})

test('limitDatabases() allows every worker one for its file and one more, unless memory is short', () => {
  const room = { maxConnections: 20, templateBytes: 8 * MEGABYTE, freeBytes: undefined, workers: 8 }
  expect(limitDatabases(room).count).toBe(16)
  expect(limitDatabases({ ...room, freeBytes: MEGABYTE }).count).toBe(1)
})

test('limitRedises() is the number of servers or databases', () => {
  expect(limitRedises(4, 'server')).toMatchObject({ count: 4, reason: '4 servers, two for each worker' })
  expect(limitRedises(1023, 'database')).toMatchObject({ count: 1023, reason: '1023 logical databases' })
})

test('limitSharedDatabases() uses half of the free connections, and enough for each worker', () => {
  const room = { maxConnections: 100, available: 85, workers: 1 }
  expect(limitSharedDatabases(room)).toMatchObject({
    count: 4,
    reason: 'max_connections is 100, others leave 85, and a lease is reckoned with 10 of half of them',
  })
  expect(limitSharedDatabases({ ...room, workers: 4 }).count).toBe(8)
  expect(limitSharedDatabases({ ...room, available: 7 }).count).toBe(2)
})

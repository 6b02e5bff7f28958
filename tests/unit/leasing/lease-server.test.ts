import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import type { FailedTest } from '../../../src/leasing/lease-source.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { openLeasing, REQUEST } from './lease-support.ts'

const ACQUIRE = `${JSON.stringify({ id: 1, method: 'acquire', args: [REQUEST] })}\n`

async function answerTo(socket: Socket, text: string): Promise<Record<string, unknown>> {
  socket.write(text)
  const [data] = (await once(socket, 'data')) as [Buffer]
  return JSON.parse(data.toString()) as Record<string, unknown>
}

test('a lease has the addresses and variables of its database and Redis', async () => {
  const { open } = await openLeasing()
  const lease = await (await open()).acquire(REQUEST)
  expect(lease).toMatchObject({
    lease: 1,
    template: 'default',
    env: { PROJECT: 'api', DATABASE_URL: 'postgres://u:p@localhost:5432/db1' },
    facts: {
      provider: 'docker',
      postgres: { database: 'db1', url: 'postgres://u:p@localhost:5432/db1', version: '18.6' },
      redis: { port: 7000, url: 'redis://localhost:7000' },
    },
  })
})

test.runIf(process.platform !== 'win32')('other users of this machine cannot access the socket', async () => {
  const { server } = await openLeasing()
  const { mode, uid } = await stat(dirname(server.path))
  expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o700, uid: process.getuid?.() })
})

test('a lease of one service has the shared address of the other', async () => {
  const { open, redises } = await openLeasing()
  const lease = await (await open()).acquire({ ...REQUEST, wants: ['postgres'] })
  expect(lease.facts.redis.port).toBe(6379)
  expect(redises.out.size).toBe(0)
})

test('a released lease is returned to its backend', async () => {
  const { open, databases, redises } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  expect([...databases.out]).toEqual(['db1'])
  await client.release(lease)
  expect([databases.out.size, redises.out.size]).toEqual([0, 0])
})

test('a half-acquired lease is released if the other half fails', async () => {
  const { open, databases, redises } = await openLeasing()
  redises.failure = new InfraError('INFRA_LEASE_FAILED', {
    problem: 'Cannot start a Redis',
    remedy: 'Correct redis.args',
  })
  const refused = await catchInfraError(async () => (await open()).acquire(REQUEST))
  expect(refused).toMatchObject({ code: 'INFRA_LEASE_FAILED', message: 'Cannot start a Redis\nCorrect redis.args' })
  expect(databases.out.size).toBe(0)
})

test('all leases of a connection are released when it closes', async () => {
  const { dial, databases } = await openLeasing()
  const { socket } = await dial()
  await answerTo(socket, ACQUIRE)
  await answerTo(socket, ACQUIRE)
  expect(databases.out.size).toBe(2)
  socket.destroy()
  await vi.waitFor(() => expect(databases.out.size).toBe(0))
})

test('a lease that is granted after its worker died is released', async () => {
  const { dial, databases, waits } = await openLeasing()
  const gate = Promise.withResolvers<void>()
  databases.gate = () => gate.promise
  const { socket } = await dial()
  socket.write(ACQUIRE)
  await new Promise<void>((resolve) => socket.end(resolve))
  await sleep(20)
  gate.resolve()
  await vi.waitFor(() => expect(waits).toHaveLength(1))
  await vi.waitFor(() => expect(databases.out.size).toBe(0))
})

test.for([
  ['a line that is no JSON', 'GET / HTTP/1.1\n'],
  ['JSON that is no object', '42\n'],
  ['null', 'null\n'],
  ['an empty line', '\n'],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x0a])],
] as const)('%s closes only its own connection and releases its lease', async ([, line]) => {
  const { dial, open, databases } = await openLeasing()
  const [{ socket, closed }, other] = [await dial(), await open()]
  await answerTo(socket, ACQUIRE)
  await other.acquire(REQUEST)
  socket.write(line)
  await closed
  await vi.waitFor(() => expect([...databases.out]).toEqual(['db2']))
  expect(await other.acquire(REQUEST)).toMatchObject({ template: 'default' })
})

test('a line without an end closes the connection before it fills the memory', async () => {
  const { dial, open } = await openLeasing()
  const { socket, closed } = await dial()
  const flood = Buffer.alloc(1024 * 1024, 'x')
  let written = 0
  const pour = () => {
    while (!socket.destroyed && written < 64 && socket.write(flood)) {
      written += 1
    }
  }
  socket.on('drain', pour)
  pour()
  await closed
  expect(written).toBeLessThan(16)
  expect(await (await open()).acquire(REQUEST)).toMatchObject({ template: 'default' })
})

test('messages may arrive in pieces, and several at once', async () => {
  const { dial, databases } = await openLeasing()
  const { socket } = await dial()
  socket.write(ACQUIRE.slice(0, 30))
  await sleep(10)
  socket.write(ACQUIRE.slice(30) + ACQUIRE + ACQUIRE.slice(0, 10))
  await vi.waitFor(() => expect(databases.out.size).toBe(2))
})

test('a silent connection delays nothing, not even the end', async () => {
  const { dial, open, server } = await openLeasing()
  const { closed } = await dial()
  await (await open()).acquire(REQUEST)
  expect(await Promise.all([server.close(), closed])).toEqual([undefined, undefined])
})

test.for([
  {},
  { id: 1 },
  { id: 1, method: 'drop', args: [] },
  { id: 1, method: 'toString', args: [] },
  { id: 1, method: 'acquire' },
  { id: 1, method: 'acquire', args: [] },
] as object[])('an invalid message is answered with an error: %j', async (message) => {
  const { dial, databases } = await openLeasing()
  const { socket } = await dial()
  expect(await answerTo(socket, `${JSON.stringify(message)}\n`)).toMatchObject({
    error: { message: expect.any(String) },
  })
  expect(databases.out.size).toBe(0)
  expect(await answerTo(socket, ACQUIRE)).toMatchObject({ id: 1, result: { lease: expect.any(Number) } })
})

test("a connection cannot use another one's lease or lease on its server", async () => {
  const { open, databases, left } = await openLeasing()
  databases.sessions = ['app']
  const { lease } = await (await open()).acquire(REQUEST)
  const other = await open()
  const attempts = [
    () => other.release(lease),
    () => other.reset(lease, 'b'),
    () => other.finish(lease, 'b'),
    () => other.control(lease, 'redis', 'stop'),
    () => other.acquire({ ...REQUEST, onServerOf: lease }),
    () => other.failed(lease, { owner: 'b', retain: true, tests: [] }),
  ]
  for (const attempt of attempts) {
    expect(await catchInfraError(attempt)).toMatchObject({
      code: 'INFRA_LEASE_FAILED',
      message:
        'Cannot find lease 1: it was given back already\nUse a database only inside the test or file that it was leased for',
    })
  }
  expect([...databases.out]).toEqual(['db1'])
  expect([databases.emptied, left]).toEqual([[], []])
})

test('a lease is released once, however often it is requested', async () => {
  const { open, databases } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.release(lease)
  expect(await catchInfraError(() => client.release(lease))).toMatchObject({ code: 'INFRA_LEASE_FAILED' })
  expect(databases.out.size).toBe(0)
})

test('a lease that is reset stays leased', async () => {
  const { open, databases } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.reset(lease, 'b.test.ts')
  expect([databases.emptied, [...databases.out]]).toEqual([['db1'], ['db1']])
})

test('a server that others use cannot be controlled, and the error names the option', async () => {
  const { open } = await openLeasing()
  const client = await open()
  const [both, none] = [await client.acquire(REQUEST), await client.acquire({ ...REQUEST, wants: [] })]
  expect(await catchInfraError(() => client.control(both.lease, 'postgres', 'stop'))).toMatchObject({
    code: 'INFRA_SERVICE_SHARED',
    message: `Cannot stop service "postgres": other test files use the same server
Set postgres.isolation to 'server', so that every file has a server of its own`,
  })
  expect(await catchInfraError(() => client.control(none.lease, 'redis', 'pause'))).toMatchObject({
    code: 'INFRA_SERVICE_SHARED',
    message: `Cannot pause service "redis": other test files use the same server
Set isolation to 'file' or 'worker' for this project, and redis.isolation to 'server'`,
  })
})

test('connections left by a file are reported by file and name, none of a clean one', async () => {
  const { open, databases, left } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.finish(lease, 'clean.test.ts')
  databases.sessions = ['api', '']
  await client.finish(lease, 'leaky.test.ts')
  expect(left).toEqual([['leaky.test.ts', ['api', '']]])
})

const FAILED = { owner: 'a.test.ts', retain: true }

function failedTests(...names: readonly string[]): FailedTest[] {
  return names.map((name) => ({ name, fromMs: 1, toMs: 2, databases: [] }))
}

test('log excerpts of failed tests are returned in order, and reported if not empty', async () => {
  const { open, logs } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  const answer = await client.failed(lease, { ...FAILED, tests: failedTests('adds', 'silent', 'removes') })
  expect(answer.map(({ lines }) => lines)).toEqual([['ERROR:  of adds'], [], ['ERROR:  of removes']])
  expect(logs).toEqual([
    ['a.test.ts > adds', { lines: ['ERROR:  of adds'], more: 0 }],
    ['a.test.ts > removes', { lines: ['ERROR:  of removes'], more: 0 }],
  ])
})

test('a failed test in the main database gets its log excerpt', async () => {
  const { open, databases } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire({ ...REQUEST, wants: [] })
  await client.failed(lease, { ...FAILED, tests: failedTests('adds') })
  expect(databases.asked).toEqual(['app: adds'])
})

test('the log is read for the first twenty failed tests of each run', async () => {
  const { open, databases, broker } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  const fail = (count: number) =>
    client.failed(lease, { ...FAILED, tests: failedTests(...Array.from({ length: count }, (_, index) => `${index}`)) })
  await fail(15)
  expect(await fail(500)).toHaveLength(5)
  expect(await fail(1)).toEqual([])
  expect(databases.asked).toHaveLength(20)
  broker.beginRerun()
  expect(await fail(1)).toHaveLength(1)
})

test("an unreadable log does not affect the test's own error", async () => {
  const { open, databases, logs } = await openLeasing()
  databases.logFailure = new Error('the engine is gone')
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  expect(await client.failed(lease, { ...FAILED, tests: failedTests('adds') })).toEqual([])
  expect(logs).toEqual([])
})

test("a failed test's database is retained until the rerun if the stack stays up", async () => {
  const { open, databases, broker } = await openLeasing({}, { staysUp: true })
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.failed(lease, { ...FAILED, retain: false, tests: [] })
  expect(broker.retained()).toEqual([])
  await client.failed(lease, { ...FAILED, tests: [] })
  expect(broker.retained()).toEqual([{ owner: 'a.test.ts', database: 'db1' }])
  expect(databases.asked).toEqual([])
  broker.beginRerun()
  expect(broker.retained()).toEqual([])
})

test('no database is retained if the stack stops with its run', async () => {
  const { open, broker } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.failed(lease, { ...FAILED, tests: [] })
  expect(broker.retained()).toEqual([])
})

test('the recorded wait is that for the lease', async () => {
  const { open, databases, waits, clock } = await openLeasing()
  const client = await open()
  databases.gate = () => clock.sleep(7)
  await client.acquire(REQUEST)
  databases.gate = async () => {}
  await client.acquire(REQUEST)
  expect(waits).toEqual([7, 0])
})

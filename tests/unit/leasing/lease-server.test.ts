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

test('a lease says where its database and its Redis are, and which variables lead there', async () => {
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

test.runIf(process.platform !== 'win32')('nobody else of this machine gets near the socket', async () => {
  const { server } = await openLeasing()
  const { mode, uid } = await stat(dirname(server.path))
  expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o700, uid: process.getuid?.() })
})

test('a lease of one service names the common other one', async () => {
  const { open, redises } = await openLeasing()
  const lease = await (await open()).acquire({ ...REQUEST, wants: ['postgres'] })
  expect(lease.facts.redis.port).toBe(6379)
  expect(redises.out.size).toBe(0)
})

test('a lease that is released goes back', async () => {
  const { open, databases, redises } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  expect([...databases.out]).toEqual(['db1'])
  await client.release(lease)
  expect([databases.out.size, redises.out.size]).toEqual([0, 0])
})

test('what was half taken goes back when the other half cannot be had', async () => {
  const { open, databases, redises } = await openLeasing()
  redises.failure = new InfraError('INFRA_LEASE_FAILED', {
    problem: 'Cannot start a Redis',
    remedy: 'Correct redis.args',
  })
  const refused = await catchInfraError(async () => (await open()).acquire(REQUEST))
  expect(refused).toMatchObject({ code: 'INFRA_LEASE_FAILED', message: 'Cannot start a Redis\nCorrect redis.args' })
  expect(databases.out.size).toBe(0)
})

test('all leases of a connection go back when it ends', async () => {
  const { dial, databases } = await openLeasing()
  const { socket } = await dial()
  await answerTo(socket, ACQUIRE)
  await answerTo(socket, ACQUIRE)
  expect(databases.out.size).toBe(2)
  socket.destroy()
  await vi.waitFor(() => expect(databases.out.size).toBe(0))
})

test('a lease that is granted after its worker died goes back', async () => {
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
] as const)('%s ends its connection, whose lease goes back, and no other', async ([, line]) => {
  const { dial, open, databases } = await openLeasing()
  const [{ socket, closed }, other] = [await dial(), await open()]
  await answerTo(socket, ACQUIRE)
  await other.acquire(REQUEST)
  socket.write(line)
  await closed
  await vi.waitFor(() => expect([...databases.out]).toEqual(['db2']))
  expect(await other.acquire(REQUEST)).toMatchObject({ template: 'default' })
})

test('a line without an end is cut off before it fills the memory', async () => {
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

test('who connects and says nothing keeps nobody waiting, not even the end', async () => {
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
] as object[])('a message that is no request is answered with an error: %j', async (message) => {
  const { dial, databases } = await openLeasing()
  const { socket } = await dial()
  expect(await answerTo(socket, `${JSON.stringify(message)}\n`)).toMatchObject({
    error: { message: expect.any(String) },
  })
  expect(databases.out.size).toBe(0)
  expect(await answerTo(socket, ACQUIRE)).toMatchObject({ id: 1, result: { lease: expect.any(Number) } })
})

test("nobody releases, resets, finishes, controls or fails another one's lease, or leases on its server", async () => {
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

test('a lease is given back once, however often it is released', async () => {
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

test('a server that others use is not controlled, and the error names the option', async () => {
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

test('connections that a file leaves are told of, by the file and their names; none of a clean one', async () => {
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

test('what the log has of failed tests is answered in their order, and told of those of which it has something', async () => {
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

test('who shares the main database is told what the log has of that', async () => {
  const { open, databases } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire({ ...REQUEST, wants: [] })
  await client.failed(lease, { ...FAILED, tests: failedTests('adds') })
  expect(databases.asked).toEqual(['app: adds'])
})

test('the log is read for the first twenty tests of a run that fail, and for no more until the next run', async () => {
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

test('a log that cannot be read takes nothing from the test', async () => {
  const { open, databases, logs } = await openLeasing()
  databases.logFailure = new Error('the engine is gone')
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  expect(await client.failed(lease, { ...FAILED, tests: failedTests('adds') })).toEqual([])
  expect(logs).toEqual([])
})

test('the database of a failed test is kept where the stack lives on, until the tests run again', async () => {
  const { open, databases, broker } = await openLeasing({}, { livesOn: true })
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

test('nothing is kept where the stack ends with its run', async () => {
  const { open, broker } = await openLeasing()
  const client = await open()
  const { lease } = await client.acquire(REQUEST)
  await client.failed(lease, { ...FAILED, tests: [] })
  expect(broker.retained()).toEqual([])
})

test('the wait that is counted is the one for what was leased', async () => {
  const { open, databases, waits, clock } = await openLeasing()
  const client = await open()
  databases.gate = () => clock.sleep(7)
  await client.acquire(REQUEST)
  databases.gate = async () => {}
  await client.acquire(REQUEST)
  expect(waits).toEqual([7, 0])
})

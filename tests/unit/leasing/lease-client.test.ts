import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { openLeasing, REQUEST } from './lease-support.ts'

const ENDED = `Cannot lease a database: the main process ended the connection
Read the lines of infra above; the run was ending, or the stack is gone`

test('open() names the socket that it cannot reach', async () => {
  const error = await catchInfraError(() => openLeaseClient('/tmp/no-such-folder/lease.sock'))
  expect(error).toMatchObject({
    code: 'INFRA_LEASE_FAILED',
    message: `Cannot reach the main process at /tmp/no-such-folder/lease.sock: connect ENOENT /tmp/no-such-folder/lease.sock
Read the lines of infra above; the run was ending, or the stack is gone`,
  })
})

test('acquire() rejects if the server closes while it waits', async () => {
  const { open, server, databases } = await openLeasing()
  databases.gate = () => new Promise(() => {})
  const client = await open()
  const [refused] = await Promise.all([catchInfraError(() => client.acquire(REQUEST)), server.close()])
  expect(refused).toMatchObject({ code: 'INFRA_LEASE_FAILED', message: ENDED })
})

// It once waited for an answer for ever.
test('acquire() rejects at once if the server has closed', async () => {
  const { open, server } = await openLeasing()
  const client = await open()
  await client.acquire(REQUEST)
  await server.close()
  await expect.poll(async () => (await catchInfraError(() => client.acquire(REQUEST))).message).toBe(ENDED)
  expect((await catchInfraError(() => client.finish(1, 'a.test.ts'))).message).toBe(ENDED)
})

test('answers reach their requests in any order', async () => {
  const { open, databases } = await openLeasing()
  const client = await open()
  const gate = Promise.withResolvers<void>()
  databases.gate = () => gate.promise
  const late = client.acquire(REQUEST)
  databases.gate = async () => {}
  const early = await client.acquire({ ...REQUEST, wants: ['redis'] })
  gate.resolve()
  expect([early.facts.postgres.database, (await late).facts.postgres.database]).toEqual(['app', 'db1'])
})

test('an error keeps its code and has its remedy as the last line', async () => {
  const { open, redises } = await openLeasing()
  redises.failure = new Error('no sockets')
  const error = await catchInfraError(async () => (await open()).acquire(REQUEST))
  expect(error.message).toBe('no sockets\nRead the lines of infra above; the run was ending, or the stack is gone')
})

const LOST = new InfraError('INFRA_SERVICE_LOST', { problem: 'Cannot go on', remedy: 'Start again' })

test('a lost server rejects waiting and all later requests', async () => {
  const { open, server, databases } = await openLeasing()
  databases.gate = () => new Promise(() => {})
  const client = await open()
  const waiting = catchInfraError(() => client.acquire(REQUEST))
  server.reportLoss(LOST, { comesBack: false })
  const known = { code: 'INFRA_SERVICE_LOST', message: 'Cannot go on\nStart again' }
  expect(await waiting).toMatchObject(known)
  expect(await catchInfraError(() => client.release(1))).toMatchObject(known)
  expect(await catchInfraError(async () => client.assertNothingLost())).toMatchObject(known)
})

test('a client that connects after a loss gets it as its error', async () => {
  const { open, server } = await openLeasing()
  server.reportLoss(LOST, { comesBack: false })
  const client = await open()
  expect(await catchInfraError(() => client.acquire(REQUEST))).toMatchObject({ code: 'INFRA_SERVICE_LOST' })
})

test("a restarted server's loss rejects requests of lease holders until they lease again", async () => {
  const { open, server } = await openLeasing()
  const [holder, idle] = [await open(), await open()]
  const { lease } = await holder.acquire(REQUEST)
  server.reportLoss(LOST, { comesBack: true })
  expect(await catchInfraError(() => holder.reset(lease, 'a.test.ts'))).toMatchObject({ code: 'INFRA_SERVICE_LOST' })
  await idle.acquire({ ...REQUEST, owner: 'b.test.ts' })
  await (await open()).acquire({ ...REQUEST, owner: 'c.test.ts' })
  holder.forgetLoss()
  await holder.release(lease)
  await holder.acquire(REQUEST)
})

test('a server whose restart fails is lost for good', async () => {
  const { open, server } = await openLeasing()
  const client = await open()
  await client.acquire(REQUEST)
  server.reportLoss(LOST, { comesBack: true })
  server.reportLoss(LOST, { comesBack: false })
  await expect.poll(() => catchInfraError(async () => client.assertNothingLost())).toBeDefined()
  client.forgetLoss()
  expect(await catchInfraError(() => client.acquire(REQUEST))).toMatchObject({ code: 'INFRA_SERVICE_LOST' })
})

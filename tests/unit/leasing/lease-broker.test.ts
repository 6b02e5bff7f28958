import { expect, test } from 'vitest'
import type { LeaseSources } from '../../../src/leasing/lease-source.ts'
import { FakeRedises, FakeSource, openLeasing, REQUEST, STACK } from './lease-support.ts'

/** A connection that does not close. */
const OPEN = new AbortController().signal

/** The replacement of a lost server, at another port. */
function createSources() {
  const [databases, redises] = [new FakeSource(), new FakeRedises()]
  const stack = { ...STACK, postgres: { ...STACK.postgres, port: 5433 } }
  const coming = Promise.withResolvers<LeaseSources>()
  return { databases, coming: coming.promise, arrive: () => coming.resolve({ stack, databases, redises }) }
}

test('a request during a restart waits and gets a lease of the new server', async () => {
  const { broker, databases } = await openLeasing()
  const { methods: worker } = broker.connect(OPEN)
  const { databases: replacement, coming, arrive } = createSources()
  broker.await(coming)
  const asking = worker.acquire(REQUEST)
  arrive()
  const { lease, facts } = await asking
  expect(facts.postgres).toMatchObject({ port: 5433, database: 'db1' })
  expect([databases.out.size, replacement.out.size]).toEqual([0, 1])
  await worker.release(lease)
  expect(replacement.out.size).toBe(0)
})

test('a lease from before a restart is released to its own server', async () => {
  const { broker, databases } = await openLeasing()
  const { methods: worker } = broker.connect(OPEN)
  const { databases: replacement, coming, arrive } = createSources()
  const { lease } = await worker.acquire(REQUEST)
  broker.await(coming)
  arrive()
  await worker.acquire(REQUEST)
  await worker.release(lease)
  expect([databases.out.size, replacement.out.size]).toEqual([0, 1])
})

test.for(['taken', 'refused'])('a lease %s from a server lost meanwhile is acquired again', async (outcome) => {
  const { broker, databases } = await openLeasing()
  const { methods: worker } = broker.connect(OPEN)
  const gate = Promise.withResolvers<void>()
  databases.gate = () => gate.promise
  const { databases: replacement, coming, arrive } = createSources()
  const asking = worker.acquire(REQUEST)
  await Promise.resolve()
  broker.await(coming)
  if (outcome === 'taken') {
    gate.resolve()
  } else {
    gate.reject(new Error('connect ECONNREFUSED'))
  }
  arrive()
  expect((await asking).facts.postgres.port).toBe(5433)
  expect([databases.out.size, replacement.out.size]).toEqual([0, 1])
})

test('a request for a server that does not restart rejects with the reason', async () => {
  const { broker } = await openLeasing()
  const { methods: worker } = broker.connect(OPEN)
  const coming = Promise.withResolvers<LeaseSources>()
  broker.await(coming.promise)
  const asking = worker.acquire(REQUEST)
  coming.reject(new Error('no room'))
  await expect(asking).rejects.toThrow('no room')
})

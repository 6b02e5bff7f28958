import { expect, test } from 'vitest'
import { type LeasedFile, LeaseUse, type Look } from '../../../src/leasing/lease-use.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** A server that counts, and files that have a database each. */
async function openUse() {
  const common = new Map([['app', 5]])
  const count = (database: string) => common.set(database, (common.get(database) ?? 0) + 1)
  const connected = new Map<string, number>()
  const look = (owner?: string): Look => {
    return async () => ({ connections: connected.get(owner ?? '') ?? 0, common: new Map(common) })
  }
  const use = new LeaseUse({ postgres: look() }, new FakeClock())
  await use.open()
  const file = (owner: string, more: Partial<LeasedFile> = {}): LeasedFile => ({
    project: '',
    owner,
    looks: { postgres: look(owner) },
    isSharing: false,
    reuse: false,
    ...more,
  })
  const connect = (owner: string) => connected.set(owner, (connected.get(owner) ?? 0) + 1)
  return { use, file, common, count, connect }
}

const NOTHING = { strayed: [], changed: [], unused: [], sharing: [] }

test('a file that did not use its lease is named if the common database was used while it ran', async () => {
  const { use, file, count, connect } = await openUse()
  await use.begin()
  use.add(1, file('stray'))
  count('app')
  await use.end(1)
  use.add(2, file('unit'))
  await use.end(2)
  use.add(3, file('leased'))
  connect('leased')
  count('app')
  await use.end(3)
  expect(await use.finish()).toEqual({
    ...NOTHING,
    strayed: [{ service: 'postgres', owners: ['stray'], common: ['app'] }],
  })
})

// In vm pools, a worker gives a lease back and asks for the next one in one go.
test('what a file used is not laid at the door of the one that begins while it is looked at', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('stray'))
  count('app')
  void use.end(1)
  use.add(2, file('unit'))
  expect((await use.finish()).strayed).toEqual([{ service: 'postgres', owners: ['stray'], common: ['app'] }])
})

test('what is used before the first file and after the last one is not counted', async () => {
  const { use, file, count } = await openUse()
  count('app')
  await use.begin()
  use.add(1, file('unit'))
  await use.freeze()
  count('app')
  expect(await use.finish()).toEqual(NOTHING)
})

test('a database that the tests make is not common', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('maker'))
  count('made_by_a_test')
  expect(await use.finish()).toEqual(NOTHING)
})

test('a fixture counts as use of the lease', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('fixture'))
  use.markUsed(1, 'postgres')
  count('app')
  expect(await use.finish()).toEqual(NOTHING)
})

test('a worker that keeps its lease is looked at file by file, and a reset is not counted use', async () => {
  const { use, file, count, connect } = await openUse()
  await use.begin()
  use.add(1, file('first'))
  connect('first')
  await use.hand(1, { owner: 'second', reset: async () => void connect('first') })
  count('app')
  expect((await use.finish()).strayed).toEqual([{ service: 'postgres', owners: ['second'], common: ['app'] }])
})

test('a service is unused if nobody has connected since the stack came up', async () => {
  const { use, file } = await openUse()
  await use.begin()
  use.add(1, file('unit'))
  await use.end(1)
  expect((await use.finish()).unused).toEqual(['postgres'])
  const other = await openUse()
  // By a global setup.
  other.count('app')
  await other.use.begin()
  other.use.add(1, other.file('unit'))
  expect((await other.use.finish()).unused).toEqual([])
})

test('what cannot be known is not told', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('silent', { looks: { postgres: () => Promise.reject(new Error('gone')) } }))
  use.add(2, file('stopped', { looks: { postgres: () => new Promise(() => {}) } }))
  count('app')
  expect(await use.finish()).toEqual(NOTHING)
  const lost = await openUse()
  await lost.use.begin()
  lost.use.add(1, lost.file('stray'))
  lost.count('app')
  lost.use.disturb()
  expect(await lost.use.finish()).toEqual(NOTHING)
})

test('where a project shares the main database, its use says nothing of the others', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('one', { project: 'shared', looks: {}, isSharing: true }))
  use.add(2, file('two', { project: 'leased' }))
  count('app')
  expect(await use.finish()).toEqual({ ...NOTHING, sharing: ['shared'] })
})

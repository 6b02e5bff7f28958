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

test('a file with an unused lease is named if the shared database was used meanwhile', async () => {
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

// In vm pools, a worker releases a lease and requests the next one at once.
test("a file's use is not attributed to the file that starts during the count", async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('stray'))
  count('app')
  void use.end(1)
  use.add(2, file('unit'))
  expect((await use.finish()).strayed).toEqual([{ service: 'postgres', owners: ['stray'], common: ['app'] }])
})

test('use before the first file and after the last one does not count', async () => {
  const { use, file, count } = await openUse()
  count('app')
  await use.begin()
  use.add(1, file('unit'))
  await use.freeze()
  count('app')
  expect(await use.finish()).toEqual(NOTHING)
})

test('a database that the tests create is not the shared one', async () => {
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

test('a worker that keeps its lease is checked for each file, and a reset is no use', async () => {
  const { use, file, count, connect } = await openUse()
  await use.begin()
  use.add(1, file('first'))
  connect('first')
  await use.hand(1, { owner: 'second', reset: async () => void connect('first') })
  count('app')
  expect((await use.finish()).strayed).toEqual([{ service: 'postgres', owners: ['second'], common: ['app'] }])
})

test('a service without a connection since its start is unused', async () => {
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

test('unknown use is not reported', async () => {
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

test('use of the main database by a project that shares it does not count', async () => {
  const { use, file, count } = await openUse()
  await use.begin()
  use.add(1, file('one', { project: 'shared', looks: {}, isSharing: true }))
  use.add(2, file('two', { project: 'leased' }))
  count('app')
  expect(await use.finish()).toEqual({ ...NOTHING, sharing: ['shared'] })
})

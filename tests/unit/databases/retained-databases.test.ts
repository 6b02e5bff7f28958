import { expect, test } from 'vitest'
import { RetainedDatabases } from '../../../src/databases/retained-databases.ts'

function createKept() {
  const dropped: string[] = []
  const kept = new RetainedDatabases((database) => dropped.push(database))
  const keep = (...databases: readonly string[]) =>
    databases.forEach((database) => kept.retain({ database, owner: `of ${database}` }))
  return { dropped, kept, keep, names: () => kept.list().map(({ database }) => database) }
}

test('RetainedDatabases retains only what it is asked to', () => {
  const { dropped, kept, keep } = createKept()
  keep('a')
  expect([kept.release('a'), kept.release('b')]).toEqual([true, false])
  expect(kept.list()).toEqual([{ database: 'a', owner: 'of a' }])
  expect(dropped).toEqual([])
})

test('RetainedDatabases drops the oldest of more than five', () => {
  const { dropped, kept, keep, names } = createKept()
  keep('a', 'b', 'c', 'd', 'e')
  kept.release('a')
  keep('f')
  expect(dropped).toEqual(['a'])
  // Still leased: its release drops it.
  keep('g')
  expect([dropped, kept.release('b')]).toEqual([['a'], false])
  expect(names()).toEqual(['c', 'd', 'e', 'f', 'g'])
})

test('RetainedDatabases.clear() drops those whose lease has ended and forgets the others', () => {
  const { dropped, kept, keep, names } = createKept()
  keep('a', 'b')
  kept.release('a')
  kept.clear()
  expect(dropped).toEqual(['a'])
  expect([kept.release('b'), names()]).toEqual([false, []])
})

test('RetainedDatabases counts a database retained twice once, at its first place', () => {
  const { kept, keep, names } = createKept()
  keep('a', 'b')
  kept.retain({ database: 'a', owner: 'somebody else' })
  expect(names()).toEqual(['a', 'b'])
  expect(kept.list()[0]?.owner).toBe('of a')
})

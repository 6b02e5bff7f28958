import { expect, test } from 'vitest'
import { ReusedItems } from '../../../src/leasing/reused-items.ts'

const refuse = () => Promise.reject(new Error('nothing is left'))

function createItems(isUsable?: (item: string) => Promise<boolean>) {
  const items = new ReusedItems<string>(isUsable)
  /** Has them used and released, in this order. */
  const use = async (...names: readonly string[]) => {
    await Promise.all(names.map((name) => items.acquire(true, async () => name)))
    names.forEach((name) => items.release(name))
  }
  return { items, use }
}

test('acquire() takes the item that was released last, then a new one', async () => {
  const { items, use } = createItems()
  await use('one', 'two')
  const acquired = [items.acquire(true, refuse), items.acquire(true, refuse), items.acquire(true, async () => 'new')]
  expect(await Promise.all(acquired)).toEqual(['two', 'one', 'new'])
})

test('an item that was not acquired for reuse is new and is not reused later', async () => {
  const { items, use } = createItems()
  await use('used')
  expect(await items.acquire(false, async () => 'new')).toBe('new')
  expect(items.release('new')).toBe(false)
})

test('an unusable item is not reused', async () => {
  const { items, use } = createItems(async (item) => item !== 'stopped')
  await use('one', 'stopped')
  expect(await items.acquire(true, async () => 'new')).toBe('new')
  expect(await items.acquire(true, refuse)).toBe('one')
})

test('removeOldest() takes the item that was released first', async () => {
  const { items, use } = createItems()
  await use('one', 'two')
  expect([items.removeOldest(), items.removeOldest(), items.removeOldest()]).toEqual(['one', 'two', undefined])
})

test('clear() returns the free items and prevents the reuse of leased ones', async () => {
  const { items, use } = createItems()
  await use('free', 'leased')
  await items.acquire(true, refuse)
  expect(items.clear()).toEqual(['free'])
  expect(items.release('leased')).toBe(false)
})

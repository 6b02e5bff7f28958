import { expect, test } from 'vitest'
import { Turns } from '../../../src/internal/turns.ts'

test('a limited number starts at once, and each end starts the next in order', async () => {
  const turns = new Turns(2)
  const begun: number[] = []
  const all = [1, 2, 3, 4].map((number) => turns.begin().then(() => begun.push(number)))
  await Promise.all(all.slice(0, 2))
  expect(begun).toEqual([1, 2])
  turns.end()
  await all[2]
  expect(begun).toEqual([1, 2, 3])
  turns.end()
  await all[3]
  expect(begun).toEqual([1, 2, 3, 4])
  turns.end()
  turns.end()
  await Promise.all([turns.begin(), turns.begin()])
})

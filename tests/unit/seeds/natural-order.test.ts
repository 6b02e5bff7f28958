import { expect, test } from 'vitest'
import { compareNatural } from '../../../src/seeds/natural-order.ts'

test.each([
  [
    ['10_a.sql', '2_a.sql', '1_a.sql'],
    ['1_a.sql', '2_a.sql', '10_a.sql'],
  ],
  [
    ['20240101120000_b', '20231231235959_a'],
    ['20231231235959_a', '20240101120000_b'],
  ],
  [
    ['a10b2', 'a10b10', 'a9'],
    ['a9', 'a10b2', 'a10b10'],
  ],
  [
    ['1', '01', '001'],
    ['001', '01', '1'],
  ],
  [
    ['b', 'a', 'B', 'ä'],
    ['B', 'a', 'b', 'ä'],
  ],
  [
    ['orders_2', 'orders'],
    ['orders', 'orders_2'],
  ],
  [
    ['v90071992547409930', 'v9007199254740993'],
    ['v9007199254740993', 'v90071992547409930'],
  ],
])('compareNatural() orders %j as %j', (names, expected) => {
  expect(names.toSorted(compareNatural)).toEqual(expected)
  expect(names.toReversed().toSorted(compareNatural)).toEqual(expected)
})

test('compareNatural() treats a name as equal only to itself', () => {
  expect(compareNatural('a1', 'a1')).toBe(0)
  expect(compareNatural('a1', 'a01')).toBeGreaterThan(0)
})

import { expect, test } from 'vitest'
import { planEmptying } from '../../../src/reset/plan-emptying.ts'
import type { StoredRelation } from '../../../src/reset/stored-relations.ts'

function tables(...names: string[]): StoredRelation[] {
  return names.map((name) => ({
    kind: 'table',
    name,
    columns: 'id',
    rows: 0,
    isFilled: false,
    isComputed: false,
    isPopulated: true,
  }))
}

test('planEmptying() returns nothing for no tables', () => {
  expect(planEmptying([], [{ from: 't1', to: 't2' }])).toEqual([])
})

test('planEmptying() truncates tables that refer to each other in one statement', () => {
  expect(
    planEmptying(tables('t1', 't2', 't3'), [
      { from: 't1', to: 't2' },
      { from: 't2', to: 't1' },
      { from: 't3', to: 't4' },
    ]),
  ).toEqual(['TRUNCATE ONLY t1, ONLY t2, ONLY t3'])
})

test('planEmptying() deletes from tables referenced by others, and from those referencing such a table', () => {
  const chain = [
    { from: 't9', to: 't1' },
    { from: 't1', to: 't2' },
    { from: 't2', to: 't3' },
    { from: 't4', to: 't5' },
  ]
  expect(planEmptying(tables('t1', 't2', 't3', 't4', 't5'), chain)).toEqual([
    'TRUNCATE ONLY t4, ONLY t5',
    'DELETE FROM ONLY t1',
    'DELETE FROM ONLY t2',
    'DELETE FROM ONLY t3',
  ])
})

import { expect, test } from 'vitest'
import { planEmptying } from '../../../src/isolation/reset/plan-emptying.ts'
import type { StoredRelation } from '../../../src/isolation/reset/stored-relations.ts'

function tables(...oids: number[]): StoredRelation[] {
  return oids.map((oid) => ({
    oid,
    kind: 'table',
    name: `t${oid}`,
    columns: 'id',
    rows: 0,
    isFilled: false,
    isPopulated: true,
  }))
}

test('planEmptying() has nothing to say of nothing', () => {
  expect(planEmptying([], [{ from: 1, to: 2 }])).toEqual([])
})

test('planEmptying() truncates in one statement what refers to each other', () => {
  expect(
    planEmptying(tables(1, 2, 3), [
      { from: 1, to: 2 },
      { from: 2, to: 1 },
      { from: 3, to: 4 },
    ]),
  ).toEqual(['TRUNCATE ONLY t1, ONLY t2, ONLY t3'])
})

test('planEmptying() deletes from what another table refers to, and from what such a table refers to', () => {
  const chain = [
    { from: 9, to: 1 },
    { from: 1, to: 2 },
    { from: 2, to: 3 },
    { from: 4, to: 5 },
  ]
  expect(planEmptying(tables(1, 2, 3, 4, 5), chain)).toEqual([
    'TRUNCATE ONLY t4, ONLY t5',
    'DELETE FROM ONLY t1',
    'DELETE FROM ONLY t2',
    'DELETE FROM ONLY t3',
  ])
})

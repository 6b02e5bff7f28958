import { expect, test } from 'vitest'
import { inDeletionOrder } from '../../../src/isolation/reset/deletion-order.ts'

function table(oid: string, ...references: string[]) {
  return { oid, references, isSimple: true }
}

test('tables come before those that they refer to', () => {
  const tables = [
    table('customers'),
    table('items', 'orders', 'products'),
    table('products'),
    table('orders', 'customers'),
  ]
  const order = inDeletionOrder(tables).map(({ oid }) => oid)
  expect(order.toSorted()).toEqual(['customers', 'items', 'orders', 'products'])
  expect(order.indexOf('items')).toBeLessThan(order.indexOf('orders'))
  expect(order.indexOf('items')).toBeLessThan(order.indexOf('products'))
  expect(order.indexOf('orders')).toBeLessThan(order.indexOf('customers'))
})

test('those that refer in a circle, and what they refer to, are not simple', () => {
  const tables = [table('a', 'b'), table('b', 'a', 'below'), table('below'), table('above', 'a')]
  expect(inDeletionOrder(tables).map(({ oid, isSimple }) => [oid, isSimple])).toEqual([
    ['above', true],
    ['a', false],
    ['b', false],
    ['below', false],
  ])
})

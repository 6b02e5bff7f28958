import { afterAll, expect, test } from 'vitest'
import { order, pool } from '../src/orders.ts'

afterAll(() => pool.end())

test('the customers of the template order', async () => {
  expect(await order('ada@example.org', 500)).toBe(500)
  expect(await order('ada@example.org', 250)).toBe(750)
  expect(await order('grace@example.org', 100)).toBe(100)
})

test('an order of an unknown customer is rejected', async () => {
  expect(await order('nobody@example.org', 500)).toBe(0)
})

import pg, { type Pool } from 'pg'
import { afterAll, expect, test as plain } from 'vitest'
import { test as infra } from 'vitest-infra/test'
import { Orders } from './orders.ts'

const ITEMS = [
  { product: 'pen', quantity: 2, unitPriceCents: 150 },
  { product: 'ink', quantity: 1, unitPriceCents: 700 },
  { product: 'paper', quantity: 5, unitPriceCents: 90 },
]

/** Thirteen statements in three transactions and more, as a test of a repository has them. */
async function useOrders(pool: Pool, email: string): Promise<void> {
  const orders = new Orders(pool)
  const customer = await orders.addCustomer(email, 'Barbara Liskov')
  const order = await orders.place(customer, ITEMS)
  expect(await orders.totalOf(order)).toBe('1450')
  await orders.pay(order)
  expect(await orders.statusOf(order)).toBe('paid')
  await orders.place(customer, ITEMS.slice(0, 1))
  expect(await orders.productsOf(customer)).toEqual(['pen', 'ink', 'paper', 'pen'])
}

/** The minimal work of a reset; other changes of a test remain. */
async function useAndReset(): Promise<void> {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  try {
    await useOrders(pool, 'barbara@example.com')
    await pool.query('TRUNCATE order_items, orders, customers RESTART IDENTITY CASCADE')
  } finally {
    await pool.end()
  }
}

/** The same tests, each on a new database, on one that is reset, or all on the file's database. */
export function testsOfOrders(file: string, count: number): void {
  const names = Array.from({ length: count }, (_, index) => `order ${index}`)
  switch (process.env.BENCH) {
    case 'fresh':
      names.forEach((name) => infra(name, ({ database }) => useOrders(database.pool, 'barbara@example.com')))
      break
    case 'reset':
      names.forEach((name) => plain(name, useAndReset))
      break
    default:
      testsOnShared(file, names)
  }
}

function testsOnShared(file: string, names: readonly string[]): void {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  afterAll(() => pool.end())
  for (const [index, name] of names.entries()) {
    plain(name, () => useOrders(pool, `barbara-${file}-${index}@example.com`))
  }
}

import type { Pool } from 'pg'

export interface Item {
  readonly product: string
  readonly quantity: number
  readonly unitPriceCents: number
}

/** The application receives its pool. */
export class Orders {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async addCustomer(email: string, name: string): Promise<string> {
    return this.#one('INSERT INTO customers (email, name) VALUES ($1, $2) RETURNING id', [email, name])
  }

  async place(customer: string, items: readonly Item[]): Promise<string> {
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const { rows } = await client.query('INSERT INTO orders (customer_id) VALUES ($1) RETURNING id', [customer])
      for (const [index, { product, quantity, unitPriceCents }] of items.entries()) {
        const values = [rows[0].id, index + 1, product, quantity, unitPriceCents]
        await client.query('INSERT INTO order_items VALUES ($1, $2, $3, $4, $5)', values)
      }
      await client.query('COMMIT')
      return rows[0].id
    } finally {
      client.release()
    }
  }

  async pay(order: string): Promise<void> {
    await this.#pool.query("UPDATE orders SET status = 'paid' WHERE id = $1", [order])
  }

  async totalOf(order: string): Promise<string> {
    return this.#one('SELECT total_cents AS id FROM order_totals WHERE order_id = $1', [order])
  }

  async statusOf(order: string): Promise<string> {
    return this.#one('SELECT status AS id FROM orders WHERE id = $1', [order])
  }

  async productsOf(customer: string): Promise<string[]> {
    const { rows } = await this.#pool.query(
      'SELECT product FROM order_items JOIN orders ON id = order_id WHERE customer_id = $1 ORDER BY id, position',
      [customer],
    )
    return rows.map(({ product }) => product)
  }

  async #one(text: string, values: readonly unknown[]): Promise<string> {
    const { rows } = await this.#pool.query(text, [...values])
    return rows[0].id
  }
}

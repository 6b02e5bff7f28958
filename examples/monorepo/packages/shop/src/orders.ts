import pg from 'pg'

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })

/** Places an order and returns the customer's total. */
export async function order(email: string, cents: number): Promise<number> {
  await pool.query('INSERT INTO orders (customer_id, cents) SELECT id, $2 FROM customers WHERE email = $1', [
    email,
    cents,
  ])
  const { rows } = await pool.query<{ total: number }>(
    `SELECT coalesce(sum(cents), 0)::integer AS total
     FROM orders JOIN customers ON customers.id = customer_id WHERE email = $1`,
    [email],
  )
  return rows[0]?.total ?? 0
}

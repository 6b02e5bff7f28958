import pg from 'pg'

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })

export async function register(email: string): Promise<void> {
  await pool.query('INSERT INTO customers (email) VALUES ($1)', [email])
}

export async function listAccounts(): Promise<string[]> {
  const { rows } = await pool.query<{ email: string }>('SELECT email FROM customers ORDER BY id')
  return rows.map(({ email }) => email)
}

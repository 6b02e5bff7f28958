import type { Client } from 'pg'

/** One name for every depth: PostgreSQL uses the innermost savepoint of a name. */
const NAME = 'vitest_infra'

/** Runs `work` in a savepoint of the client's transaction; if it throws, its changes are undone. */
export async function inSavepoint<T>(client: Client, work: (client: Client) => Promise<T>): Promise<T> {
  await client.query(`SAVEPOINT ${NAME}`)
  try {
    const result = await work(client)
    await client.query(`RELEASE SAVEPOINT ${NAME}`)
    return result
  } catch (error) {
    // The test gets the first error, even if the connection is gone.
    await client.query(`ROLLBACK TO SAVEPOINT ${NAME}; RELEASE SAVEPOINT ${NAME}`).catch(() => {})
    throw error
  }
}

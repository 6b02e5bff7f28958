import type { Client } from 'pg'

/** All depths share one name, as PostgreSQL uses the innermost savepoint of a name. */
const NAME = 'vitest_infra'

/** Runs `work` in a savepoint of the client's transaction. If `work` throws, its changes are undone. */
export async function inSavepoint<T>(client: Client, work: (client: Client) => Promise<T>): Promise<T> {
  await client.query(`SAVEPOINT ${NAME}`)
  try {
    const result = await work(client)
    await client.query(`RELEASE SAVEPOINT ${NAME}`)
    return result
  } catch (error) {
    // A failed rollback is ignored, so that the test receives the error of `work` even if the connection is broken.
    await client.query(`ROLLBACK TO SAVEPOINT ${NAME}; RELEASE SAVEPOINT ${NAME}`).catch(() => {})
    throw error
  }
}

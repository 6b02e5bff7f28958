import { randomBytes } from 'node:crypto'
import { expect, inject, onTestFinished, test } from 'vitest'
import { postgresUrl } from '../../../src/environment/variable-set.ts'
import { FixtureTransaction } from '../../../src/worker/fixture-transaction.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'

const { postgres } = inject('infra')

test('a transaction that cannot begin leaks no connection', async () => {
  const admin = await PostgresAdmin.open(postgres)
  const database = `fixture_transaction_${randomBytes(6).toString('hex')}`
  await admin.createDatabase(database)
  onTestFinished(async () => {
    await admin.dropDatabase(database, { force: true })
    await admin.close()
  })
  const url = postgresUrl({ ...postgres, database })
  await withPostgres({ ...postgres, database }, async (client) => {
    await client.query(`CREATE FUNCTION public.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'`)
    await client.query(`ALTER DATABASE "${database}" SET search_path = public, pg_catalog`)
  })
  await expect(FixtureTransaction.begin(url)).rejects.toThrow('division by zero')
  await expect.poll(() => admin.sessionsOf(database)).toEqual([])
})

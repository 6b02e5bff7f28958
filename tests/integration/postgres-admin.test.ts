import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { PostgresAdmin } from '../../src/services/postgres-admin.ts'
import { startOwnStack } from '../support/own-stack.ts'

test('dropDatabase() copes with a replication slot', { timeout: 60_000 }, async () => {
  const { postgres } = await startOwnStack({ services: ['postgres'], postgres: { settings: { wal_level: 'logical' } } })
  const admin = await PostgresAdmin.open(postgres)
  await admin.createDatabase('changes')
  const client = new pg.Client({ ...postgres, database: 'changes' })
  await client.connect()
  await client.query("SELECT pg_create_logical_replication_slot('listener', 'pgoutput')")
  await client.end()

  expect(await admin.dropDatabase('changes', { force: false })).toBe(true)
  expect(await admin.templateState('changes')).toBe('missing')
  await admin.close()
})

test('dropDatabase() leaves a database to who is connected to it, unless it is forced', async () => {
  const { postgres } = inject('infra')
  const admin = await PostgresAdmin.open(postgres)
  await admin.createDatabase('in_use')
  const client = new pg.Client({ ...postgres, database: 'in_use' })
  const ended = new Promise((resolve) => client.on('error', resolve))
  await client.connect()

  expect(await admin.dropDatabase('in_use', { force: false })).toBe(false)
  expect(await admin.templateState('in_use')).toBe('unsealed')
  expect(await admin.dropDatabase('in_use', { force: true })).toBe(true)
  expect(await ended).toMatchObject({ code: '57P01' })
  await admin.close()
})

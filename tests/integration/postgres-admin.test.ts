import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { PostgresAdmin } from '../../src/services/postgres-admin.ts'
import { startOwnStack } from '../support/own-stack.ts'

test('dropDatabase() drops a database with a replication slot', { timeout: 60_000 }, async () => {
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

test('dropDatabase() does not drop a database in use unless it is forced', async () => {
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

test('countUse() counts the use by others, not its own', { timeout: 60_000 }, async () => {
  const { postgres } = await startOwnStack({ services: ['postgres'] })
  const admin = await PostgresAdmin.open(postgres)
  const connect = async (database: string, query: string) => {
    const client = new pg.Client({ ...postgres, database })
    await client.connect()
    await client.query(query)
    await client.end()
  }
  const before = await admin.countUse()
  expect([...before.common.keys()].toSorted()).toEqual(['app', 'postgres', 'template0', 'template1'])
  await Promise.all(['one', 'two', 'three'].map((name) => admin.createDatabase(`vitest_infra_${name}`)))
  await admin.writeLogMark('here')
  await admin.sealTemplate('vitest_infra_one')
  await admin.dropTemplate('vitest_infra_one', { force: false })
  expect(await admin.countUse('vitest_infra_two')).toEqual({ ...before, connections: 0 })

  await connect('vitest_infra_two', 'SELECT 1')
  await connect('app', 'SELECT 1')
  await connect('postgres', 'SELECT 1')
  // The session writes it on exit, for which its client does not wait.
  const active = async () => (await admin.countUse()).common.get('app') ?? 0
  await expect.poll(active).toBeGreaterThan(before.common.get('app') ?? 0)
  expect(await admin.countUse('vitest_infra_two')).toEqual({
    connections: 1,
    common: new Map([...before.common, ['app', await active()]]),
    others: before.others + 1,
  })

  // As the healthcheck of the server does, time and again.
  const used = await admin.countUse()
  const silent = new pg.Client({ ...postgres, database: 'app' })
  await silent.connect()
  await silent.end()
  await expect.poll(async () => (await admin.sessionsOf('app')).length).toBe(0)
  expect(await admin.countUse()).toEqual(used)

  await admin.withLock('key', async () => {})
  await connect('postgres', 'CREATE TABLE visits (page text)')
  const written = async () => (await admin.countUse()).common.get('postgres') ?? 0
  await expect.poll(written).toBeGreaterThan(before.common.get('postgres') ?? 0)
  await admin.close()
})

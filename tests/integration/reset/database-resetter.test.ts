import { randomBytes } from 'node:crypto'
import { expect, inject, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { DatabaseResetter } from '../../../src/reset/database-resetter.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'

const { postgres } = inject('infra')

async function openResetter(databases: readonly string[]) {
  const prefix = `resetter_${randomBytes(6).toString('hex')}_`
  const names = databases.map((name) => `${prefix}${name}`)
  const admin = await PostgresAdmin.open(postgres)
  onTestFinished(async () => {
    await Promise.all([...names, `${prefix}pristine_0`].map((name) => admin.dropDatabase(name, { force: true })))
    await admin.close()
  })
  await Promise.all(names.map((name) => admin.createDatabase(name, 'template1')))
  const told: InfraEvent[] = []
  const report = (event: InfraEvent) => void told.push(event)
  return { names, told, resetter: new DatabaseResetter({ admin, prefix, clock: systemClock, report }) }
}

test('DatabaseResetter reports drops once and resets databases in parallel', async () => {
  const { names, told, resetter } = await openResetter(['one', 'other'])
  const soil = (database: string) =>
    withPostgres({ ...postgres, database }, (client) => client.query('CREATE TABLE scratch (n int)'))

  for (let file = 0; file < 2; file += 1) {
    await Promise.all(names.map(soil))
    await Promise.all(names.map((name) => resetter.reset(name, 'template1', { file: 'a.test.ts', idleMs: 0 })))
    expect(told).toEqual([{ type: 'objects-dropped', file: 'a.test.ts', objects: ['table public.scratch'] }])
  }
})

test('DatabaseResetter reports why it could not reset a database', async () => {
  const { resetter } = await openResetter([])

  await expect(resetter.reset('nowhere', 'template1', { file: 'a.test.ts', idleMs: 0 })).rejects.toMatchObject({
    code: 'INFRA_LEASE_FAILED',
    message:
      'Cannot reset database "nowhere" for the next test file: database "nowhere" does not exist\n' +
      'Leave isolate at true, so that every file gets a new database',
  })
})

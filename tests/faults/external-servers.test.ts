import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { postgresUrl } from '../../src/environment/variable-set.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { startVitest } from '../e2e/support/run-vitest.ts'
import {
  PASSWORD,
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../support/somebodys-servers.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')

/** Claims on Redis are proof of life for 15 s. */
const PATIENCE = { timeout: 90_000, interval: 200 }

let servers: SomebodysServers
beforeAll(async () => {
  servers = await startSomebodysServers()
})
afterAll(() => servers.stop())

async function claims(): Promise<readonly string[]> {
  return (await servers.look()).keys.filter((key) => key.includes('vitest-infra:claim:'))
}

async function killIn(stage: string, env: Record<string, string>, files = {}): Promise<void> {
  const run = await startVitest('faults', { consumer, env: { ...env, HOLD: stage }, files })
  await run.said(`holding in ${stage}`)
  run.signal('SIGKILL')
  expect(await run.ended).toMatchObject({ signal: 'SIGKILL' })
  await run.forgetFiles()
  await expectNothingLeft(run)
}

test('databases left by kill -9 in any stage are dropped by the next run, and nothing else', async () => {
  const { postgres: DATABASE_URL = '', redis: REDIS_URL = '' } = servers.external
  const env = { VITEST_INFRA_PROVIDER: 'external', DATABASE_URL, REDIS_URL }
  // First, because the other tests use the template that this one builds.
  await killIn('template', env)
  await Promise.all([killIn('test', env), killIn('teardown', env)])
  // A run of this moment would leave them alone.
  expect((await claims()).length).toBeGreaterThan(0)
  await expect.poll(claims, PATIENCE).toEqual([])

  const next = await startVitest('faults', { consumer, env })
  expect(await next.ended).toMatchObject({ exitCode: 0 })
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

const SCHEMAS = `import { hold } from './test/hold.ts'
export default { services: ['postgres'], postgres: { isolation: 'schema', seeds: () => hold('template') } }`

const ASKS_POSTGRES = `import { Client } from 'pg'
import { test } from 'vitest'
import { hold } from './hold.ts'
test('its schema is empty', async () => {
  const client = new Client({ connectionString: process.env.DATABASE_URL ?? '' })
  client.on('error', () => {})
  await client.connect()
  await client.query('CREATE TABLE orders (id int)')
  await hold('test')
  await client.end()
}, 60_000)`

test('schemas left by kill -9 are dropped by the next run, and nothing else', async () => {
  const user = 'tenant'
  await withPostgres(servers.postgres, (client) =>
    client.query(`CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'; GRANT CREATE ON DATABASE app TO ${user}`),
  )
  onTestFinished(async () => {
    await withPostgres(servers.postgres, (client) => client.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`))
  })
  const schemas = async () => {
    const { rows } = await withPostgres(servers.postgres, (client) =>
      client.query<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'vitest%'"),
    )
    return rows.map(({ name }) => name)
  }
  const before = await servers.look()
  const env = { VITEST_INFRA_PROVIDER: 'external', DATABASE_URL: postgresUrl({ ...servers.postgres, user }) }
  const files = { 'infra.config.ts': SCHEMAS, 'test/servers.test.ts': ASKS_POSTGRES }
  await killIn('template', env, files)
  await Promise.all([killIn('test', env, files), killIn('teardown', env, files)])
  expect((await schemas()).length).toBeGreaterThan(1)

  const next = await startVitest('faults', { consumer, env, files })
  expect(await next.ended).toMatchObject({ exitCode: 0 })
  expect(await schemas()).toEqual([])
  expect({ ...(await servers.look()), roles: before.roles }).toEqual(before)
})

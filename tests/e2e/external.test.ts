import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { postgresUrl } from '../../src/environment/variable-set.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { hasOpenssl } from '../support/create-certificate.ts'
import { putBehindTls } from '../support/put-behind-tls.ts'
import {
  PASSWORD,
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../support/somebodys-servers.ts'
import { errorMessage } from './support/plain.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

const FILES = 12

let servers: SomebodysServers
let env: Record<string, string>

beforeAll(async () => {
  servers = await startSomebodysServers()
  const { postgres: DATABASE_URL = '', redis: REDIS_URL = '' } = servers.external
  env = { VITEST_INFRA_PROVIDER: 'external', DATABASE_URL, REDIS_URL }
})
afterAll(() => servers.stop())

/** Files that do the same with the same names, in a folder. */
function files(folder: string): Record<string, string> {
  const text = (number: number) => `import { orders } from '../src/orders.ts'\norders('${number + 1}')\n`
  return Object.fromEntries(Array.from({ length: FILES }, (_, number) => [`${folder}/${number}.test.ts`, text(number)]))
}

test.for(['--isolate', '--no-isolate'])(
  'files see only their own data on external servers and leave nothing, with %s',
  async (flag) => {
    const { stdout, stderr, exitCode, created } = await runVitest('external', {
      consumer,
      env,
      args: ['run', flag],
      files: files('test'),
    })
    const [postgres, redis] = [servers.postgres.port, servers.redis.port]
    expect(stdout).toContain(`Test Files  ${FILES} passed (${FILES})`)
    expect(stderr).toContain(
      `infra  Existing servers: postgres on localhost:${postgres}, redis on localhost:${redis} (as asked for)\n`,
    )
    expect(stderr).toMatch(/^infra {2}template "default" (?:built|found) in /m)
    expect({ exitCode, created }).toEqual({ exitCode: 0, created: [] })
    expect(stdout + stderr).not.toContain(PASSWORD)
    expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
  },
)

test('projects of one run share its claims on external servers, which .env describes', async () => {
  const { host, port, user, password } = servers.postgres
  const dotenv = [
    'VITEST_INFRA_PROVIDER=external',
    `DB_HOST=${host}\nDB_PORT=${port}\nDB_USER=${user}\nDB_PASSWORD=${password}`,
    `REDIS_HOST=${servers.redis.host}\nREDIS_PORT=${servers.redis.port}\nREDIS_PASSWORD=${servers.redis.password}`,
  ]
  const config = `import { infra } from 'vitest-infra/plugin'
    const project = (name: string) => ({ plugins: [infra()], test: { name, include: [name + '/*.test.ts'] } })
    export default { test: { maxWorkers: 2, projects: [project('one'), project('two')] } }`
  const { stdout, stderr, exitCode } = await runVitest('external', {
    consumer,
    files: { ...files('one'), ...files('two'), '.env': dotenv.join('\n'), 'vitest.config.ts': config },
  })
  expect(stdout).toContain(`Test Files  ${FILES * 2} passed (${FILES * 2})`)
  expect(stderr.match(/Existing servers/g)).toHaveLength(1)
  expect(exitCode).toBe(0)
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

test.for(['DATABASE_URL', 'DB_*'])(
  'a role without CREATEDB gets a schema for each file, connected by %s',
  async (by) => {
    const { host, port } = servers.postgres
    const role = by === 'DB_*' ? 'tenant_b' : 'tenant_a'
    await withPostgres(servers.postgres, (client) =>
      client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'; GRANT CREATE ON DATABASE app TO ${role}`),
    )
    onTestFinished(async () => {
      await withPostgres(servers.postgres, (client) => client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
    })
    const url = { DATABASE_URL: postgresUrl({ ...servers.postgres, user: role }) }
    const parts = { DB_HOST: host, DB_PORT: String(port), DB_USER: role, DB_PASSWORD: PASSWORD, DB_NAME: 'app' }
    const config = `import { infra } from 'vitest-infra/plugin'
      export default { plugins: [infra({ postgres: { isolation: 'schema' } })], test: { maxWorkers: 2 } }`
    const app = `import { Redis } from 'ioredis'
      import pg from 'pg'
      const { DB_HOST: host, DB_PORT: port, DB_USER: user, DB_PASSWORD: password, DB_NAME: database } = process.env
      export const pool = new pg.Pool(${by === 'DB_*' ? '{ host, port: Number(port), user, password, database }' : '{ connectionString: process.env.DATABASE_URL }'})
      export const redis = new Redis(process.env.REDIS_URL ?? '')`
    const fixture = `import { test } from 'vitest-infra/test'
      import { expect } from 'vitest'
      for (const round of ['one', 'other']) {
        test(round, async ({ database }) => {
          await database.pool.query('CREATE TABLE fresh (n int)')
          const { rows } = await database.pool.query('SELECT current_schema() AS name')
          expect(rows[0].name).toMatch(/^vitest_infra_/)
        })
      }`
    const { VITEST_INFRA_PROVIDER = '', REDIS_URL = '' } = env
    const { stdout, stderr, exitCode } = await runVitest('external', {
      consumer,
      env: { VITEST_INFRA_PROVIDER, REDIS_URL, ...(by === 'DB_*' ? parts : url) },
      files: { ...files('test'), 'test/fixture.test.ts': fixture, 'src/app.ts': app, 'vitest.config.ts': config },
    })
    expect(stdout).toContain(`Test Files  ${FILES + 1} passed (${FILES + 1})`)
    expect(exitCode).toBe(0)
    expect(stdout + stderr).not.toContain(PASSWORD)
    const schemas = await withPostgres(servers.postgres, (client) =>
      client.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vitest%'"),
    )
    expect(schemas.rows).toEqual([])
    const { accounts, databases } = withoutTemplates(await servers.look())
    expect({ accounts, databases }).toEqual({ accounts: UNTOUCHED.accounts, databases: UNTOUCHED.databases })
  },
)

test('an interrupted run leaves nothing on external servers', async () => {
  const file = `import { test } from 'vitest'
    import { pool, redis } from '../src/app.ts'
    test('waits', async () => {
      await redis.set('waiting', 1)
      console.log('waiting')
      await pool.query('SELECT pg_sleep(60)')
    }, 90_000)`
  const run = await startVitest('external', { consumer, env, files: { 'test/one.test.ts': file } })
  await run.said('waiting')
  run.signal('SIGINT')
  expect((await run.ended).exitCode).toBe(130)
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

test.runIf(hasOpenssl)('applications and fixtures connect by TLS with the URLs they get', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'external-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const { postgres: DATABASE_URL, redis: REDIS_URL } = await putBehindTls(servers, folder)
  const app = `import { Redis } from 'ioredis'
    import pg from 'pg'
    export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
    export const redis = new Redis(process.env.REDIS_URL)`
  const { stdout, exitCode } = await runVitest('external', {
    consumer,
    env: { ...env, DATABASE_URL, REDIS_URL, NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') },
    files: { ...files('test'), 'src/app.ts': app },
  })
  expect(stdout).toContain(`Test Files  ${FILES} passed (${FILES})`)
  expect(exitCode).toBe(0)
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)
})

test('a production-looking URL is refused without printing its password, and no test runs', async () => {
  const DATABASE_URL = 'postgres://app:swordfish@db.prod.example.com/shop'
  const run = await runVitest('external', { consumer, env: { ...env, DATABASE_URL }, files: files('test') })
  expect(errorMessage(run.stderr)).toBe(
    'Cannot use the PostgreSQL on "db.prod.example.com", which DATABASE_URL names: it is neither on this machine nor among the allowed hosts\n' +
      "Let DATABASE_URL lead to a test server; if that is one, add 'db.prod.example.com' to external.allowedHosts or to VITEST_INFRA_ALLOWED_HOSTS",
  )
  expect(run.stdout + run.stderr).not.toContain('swordfish')
  expect(run.stdout).not.toContain('✓')
  expect(run).toMatchObject({ exitCode: 1, created: [] })
})

test('a URL alone does not select external servers: "auto" starts its own', async () => {
  const DATABASE_URL = 'postgres://app:swordfish@db.prod.example.com/shop'
  const file = `import { expect, inject, test } from 'vitest'
    test('own', () => {
      expect(inject('infra').provider).not.toBe('external')
      expect(process.env.DATABASE_URL).toContain('@localhost:')
    })`
  const run = await runVitest('external', { consumer, env: { DATABASE_URL }, files: { 'test/one.test.ts': file } })
  expect(run.exitCode).toBe(0)
})

import { createServer } from 'node:net'
import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { RUNNERS_AND_KEPT_MODULES } from './support/pools.ts'
import { anyServers, type EndedRun, runVitest } from './support/run-vitest.ts'

const PROJECT = 'outside-lease'
const SEE = 'see "Connections that leave the lease" in the README'
const REMEDY = `is a name hard-coded, or missing in a URL? Let the code read DATABASE_URL or DB_NAME, or set postgres.isolation to 'server'; ${SEE}`
const FIXED = `infra  2 files (test/fixed-1.test.ts, test/fixed-2.test.ts) never connected to the leased database, but "app", which all files share, was used: ${REMEDY}`

/** The files run in sequence, so that use by one file is not attributed to another. */
const SERIAL = ['run', '--maxWorkers=1', 'fixed', 'leased', 'unit']

/** The reported lines about the use of leases. */
function findings({ stderr }: EndedRun): string {
  return sortedLines(
    stderr.match(/^infra {2}.*(?:never connected|no client connected|use the main|uses the main).*$/gm)?.join('\n') ??
      '',
  )
}

/** A run of the whole project, which consists of these files. */
function configure(include: string, options = ''): Readonly<Record<string, string>> {
  return {
    'vitest.config.ts': `
      import { infra } from 'vitest-infra/plugin'
      export default { plugins: [infra({ ${options} })], test: { include: ${include}, globalSetup: ['test/global-setup.ts'] } }`,
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test.for(RUNNERS_AND_KEPT_MODULES)(
  'only files with a fixed database name are named, in $name',
  async ({ consumer, option }) => {
    const run = await runVitest(PROJECT, { consumer, env: anyServers(consumer), args: [...SERIAL, option] })
    expect(findings(run)).toBe(FIXED)
    expect(run.exitCode).toBe(0)
  },
)

describe.each(inject('consumers'))('$name', (consumer) => {
  test('a URL without a database connects to the lease, for files in parallel', async () => {
    const run = await runVitest(PROJECT, { consumer, env: anyServers(consumer), args: ['run', 'nameless'] })
    expect(run.stdout).toContain('Tests  3 passed (3)')
    expect([run.exitCode, findings(run)]).toEqual([0, ''])
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('files with a fixed database name are named on containers, also in short form', async () => {
    const run = await runVitest(PROJECT, { consumer, args: SERIAL, env: { CI: '1' } })
    expect(findings(run)).toBe(FIXED)
    // At the very end, where it is seen.
    expect(run.stderr.trimEnd().split('\n').at(-1)).toBe(FIXED)
  })

  test('a server for each file isolates fixed database names', async () => {
    const run = await runVitest(PROJECT, {
      consumer,
      env: anyServers(consumer),
      files: configure("['test/fixed-*.test.ts', 'test/leased.test.ts']", "postgres: { isolation: 'server' }"),
    })
    expect([run.exitCode, findings(run)]).toEqual([0, ''])
  })

  test('tables in the maintenance database are noticed', async () => {
    const run = await runVitest(PROJECT, { consumer, env: anyServers(consumer), args: ['run', 'maintenance'] })
    expect(findings(run)).toBe(
      `infra  1 file (test/maintenance.test.ts) never connected to the leased database, but "postgres", which all files share, was used: ${REMEDY}`,
    )
  })

  test('a fixed address of Redis is noticed', async () => {
    const port = await freePort()
    const run = await runVitest(PROJECT, {
      consumer,
      env: anyServers(consumer),
      files: {
        ...configure("['test/{address,leased}.test.ts']", `services: ['redis'], redis: { port: ${port} }`),
        'test/global-setup.ts': 'export default () => {}',
        'test/leased.test.ts': '',
        'test/address.test.ts': `
        import { Redis } from 'ioredis'
        import { expect, test } from 'vitest'
        test('the address is fixed', async () => {
          const redis = new Redis('redis://localhost:${port}')
          await redis.set('a', '1')
          expect(await redis.get('a')).toBe('1')
          redis.disconnect()
        })`,
      },
      args: ['run', 'address'],
    })
    expect(findings(run)).toBe(
      `infra  1 file (test/address.test.ts) never connected to the leased Redis, but the main one, which all files share, was used: is its address hard-coded? Let the code read REDIS_URL; ${SEE}`,
    )
  })

  test('an unused service is named if all tests have run', async () => {
    const files = configure("['test/nameless-*.test.ts']")
    const run = await runVitest(PROJECT, { consumer, env: anyServers(consumer), files })
    expect(findings(run)).toBe(
      "infra  redis: no client connected; if no test needs it, remove it with services: ['postgres']",
    )
    expect(
      findings(await runVitest(PROJECT, { consumer, env: anyServers(consumer), files, args: ['run', 'nameless-1'] })),
    ).toBe('')
  })

  test('a variable changed by setup files is blamed for an unused service', async () => {
    const run = await runVitest(PROJECT, {
      consumer,
      files: {
        'vitest.config.ts': `
        import { infra } from 'vitest-infra/plugin'
        import { defineConfig } from 'vitest/config'
        export default defineConfig({
          plugins: [infra({ services: ['postgres'] })],
          test: { include: ['test/changed.test.ts'], setupFiles: ['setup.ts'] },
        })`,
        'setup.ts': `process.env.DATABASE_URL = 'postgres://ada:swordfish@127.0.0.1:1/shop'`,
        'test/changed.test.ts': `
        import pg from 'pg'
        import { expect, test } from 'vitest'
        test('a', async () => {
          await expect(new pg.Client(process.env.DATABASE_URL).connect()).rejects.toThrow('ECONNREFUSED')
        })`,
      },
    })
    expect(findings(run)).toBe(
      'infra  postgres: no client connected, as DATABASE_URL (now postgres://ada:***@127.0.0.1:1/shop) was changed after vitest-infra had set it, in 1 file (test/changed.test.ts): remove that assignment from your setup files, from what they load (dotenv with override), or from the tests',
    )
    expect(run.exitCode).toBe(0)
  })

  test('files that use their leases, or no service, get no warning', async () => {
    const run = await runVitest(PROJECT, {
      consumer,
      files: configure("['test/{leased,unit}.test.ts']"),
    })
    expect(sortedLines(run.stderr)).toMatchInlineSnapshot(`
    "infra  2 leases, waited <time> (median), <time> (95th percentile)
    infra  Docker Engine <version> at <host> (<source>)
    infra  postgres <version> healthy after <time>, redis <version> healthy after <time>
    infra  template "default" built in <time>"
  `)
  })

  test('projects that share the main database are named if other projects lease', async () => {
    const run = await runVitest(PROJECT, {
      consumer,
      env: anyServers(consumer),
      files: {
        'vitest.config.ts': `
        import { infra } from 'vitest-infra/plugin'
        const project = (name, isolation, include) => ({ plugins: [infra({ isolation })], test: { name, include } })
        export default { test: { projects: [
          project('one', 'shared', ['test/fixed-1.test.ts']),
          project('two', 'shared', ['test/fixed-2.test.ts']),
          project('three', 'file', ['test/leased.test.ts', 'test/unit.test.ts']),
        ] } }`,
      },
    })
    expect(findings(run)).toBe(
      `infra  projects "one", "two" use the main database and the main Redis for all files (isolation: 'shared')`,
    )
  })
})

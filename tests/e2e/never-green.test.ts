import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { containerOf, containersOf, removeContainersOf, removeSnapshotsOf } from './support/containers.ts'
import { FaultyEngine } from './support/engine-faults.ts'
import { errorMessage } from './support/plain.ts'
import { type RunOptions, startVitest, type VitestRun } from './support/run-vitest.ts'

// Each of these once ended with 0, and no test had run.

const KEPT = { keepAlive: '2m', snapshot: false } as const

async function start(options: InfraOptions, run: RunOptions): Promise<VitestRun> {
  const started = await startVitest('engine-faults', { ...run, env: { ...run.env, OPTIONS: JSON.stringify(options) } })
  onTestFinished(() => removeContainersOf(started.project).catch(() => {}))
  return started
}

/** A finished run whose servers are up. */
async function keep(options: InfraOptions, run: RunOptions): Promise<VitestRun> {
  const kept = await start(options, run)
  expect(await kept.ended).toMatchObject({ exitCode: 0 })
  return kept
}

/** Where a server of a run is reached from here. */
async function portOf({ project }: VitestRun, service: string, port: number): Promise<number> {
  const found = (await containersOf(project)).find(({ Name }) => Name.endsWith(`-${service}`))
  return Number(found?.NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort)
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test("a failed start with Vitest's options to ignore errors and pass without tests", async () => {
    const args = ['run', '--dangerouslyIgnoreUnhandledErrors', '--passWithNoTests']
    const seeds = 'no/such/folder'
    const { exitCode, stderr } = await (
      await start({ services: ['redis'], redis: { seeds } }, { consumer, args })
    ).ended
    expect(errorMessage(stderr)).toContain('no/such/folder" does not exist')
    expect(exitCode).toBe(1)
  })

  test('a TMPDIR that names a file', async () => {
    const folder = await mkdtemp(join(consumer.folder, 'no-folder-'))
    await writeFile(join(folder, 'file'), '')
    const env = { TMPDIR: join(folder, 'file') }
    const { exitCode, stderr } = await (await start({ services: ['redis'] }, { consumer, env })).ended
    expect(errorMessage(stderr)).toContain('TMPDIR')
    expect(exitCode).toBe(1)
  })

  test('a configuration that never loads', async () => {
    const files = { 'infra.config.ts': 'await new Promise(() => {})\nexport default {}\n' }
    const { exitCode, stderr } = await (await start({}, { consumer, files })).ended
    expect(errorMessage(stderr)).toBe(
      [
        'Cannot load <project>/infra.config.ts: it did not load within <time>',
        'Check what the file and its imports await at their top level; move slow work into a template',
      ].join('\n'),
    )
    expect(exitCode).toBe(1)
  })

  test('a configuration that exits the process', async () => {
    const files = { 'infra.config.ts': 'process.exit(0)\nexport default {}\n' }
    const { exitCode, stderr } = await (await start({}, { consumer, files })).ended
    expect(stderr).toBe(
      'infra  this process exits while vitest-infra waits for infra.config to load: the run is incomplete, so it fails with exit code 1',
    )
    expect(exitCode).toBe(1)
  })

  test('a global setup that exits the process with 0', async () => {
    const files = {
      'vitest.config.ts': `
        import { infra } from 'vitest-infra/plugin'
        export default { plugins: [infra({ services: ['redis'] })], test: { globalSetup: ['setup.ts'] } }`,
      'setup.ts': 'export default () => process.exit(0)',
    }
    const { exitCode, stderr } = await (await start({}, { consumer, files })).ended
    expect(stderr).toContain('this process exits while vitest-infra waits for its tests')
    expect(exitCode).toBe(1)
  })

  test('the closing lines of a run whose snapshot takes long', async () => {
    const files = {
      'fixtures/postgres/migrations/2_large.sql': `
        CREATE TABLE large AS
          SELECT string_agg(md5(random()::text), '') AS noise FROM generate_series(1, 1_500_000) AS row GROUP BY row % 3000`,
    }
    const run = await start({ services: ['postgres'], snapshot: true }, { consumer, files })
    onTestFinished(() => removeSnapshotsOf(run.folder))
    const { exitCode, stdout, stderr } = await run.ended
    expect(stdout).toContain('Tests  1 passed (1)')
    expect(stderr).toContain('postgres <version> healthy after')
    expect(stderr).toContain('template "default" built in')
    expect(stderr).toContain('1 lease, waited')
    expect(stdout + stderr).not.toContain('close timed out')
    expect(exitCode).toBe(0)
  })
})

// The servers and the engine are the same for every Vitest.
describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('a migration that fails on a reused server', async () => {
    const options: InfraOptions = { ...KEPT, services: ['postgres'] }
    const first = await keep(options, { consumer })
    const files = { 'fixtures/postgres/migrations/2_broken.sql': 'CREATE TABLE broken (' }
    const { exitCode, stderr } = await (await start(options, { consumer, files, after: first })).ended
    expect(errorMessage(stderr)).toContain('2_broken.sql')
    expect(exitCode).toBe(1)
  })

  test('a seed that fails on a reused Redis', async () => {
    const options: InfraOptions = { ...KEPT, services: ['redis'] }
    const first = await keep(options, { consumer })
    const files = { 'fixtures/redis/greeting.redis': 'SETT greeting hello\n' }
    const { exitCode, stderr } = await (await start(options, { consumer, files, after: first })).ended
    expect(errorMessage(stderr)).toContain('greeting.redis')
    expect(exitCode).toBe(1)
  })

  test('a paused server of an earlier run is replaced', async () => {
    const options: InfraOptions = { ...KEPT, services: ['redis'] }
    const first = await keep(options, { consumer })
    await (await containerOf(first.project, 'redis')).pause()
    const { exitCode, stdout, stderr } = await (await start(options, { consumer, after: first })).ended
    expect(stdout).toContain('Tests  1 passed (1)')
    expect(stderr).toContain('redis of an earlier run was replaced: it was paused')
    expect(exitCode).toBe(0)
  })

  test('a server of an earlier run with a foreign role is replaced', async () => {
    const options: InfraOptions = { ...KEPT, services: ['postgres'], postgres: { user: 'me', password: 'secret' } }
    const first = await keep(options, { consumer })
    const client = new pg.Client({
      host: 'localhost',
      port: await portOf(first, 'postgres', 5432),
      user: 'me',
      password: 'secret',
      database: 'postgres',
    })
    await client.connect()
    await client.query('CREATE ROLE somebody')
    await client.end()
    const { exitCode, stdout, stderr } = await (await start(options, { consumer, after: first })).ended
    expect(stdout).toContain('Tests  1 passed (1)')
    expect(stderr).toContain('postgres of an earlier run was replaced: ')
    expect(exitCode).toBe(0)
  })

  test('other labels on pinned ports replace the servers of an earlier run', async () => {
    const options: InfraOptions = { ...KEPT, postgres: { port: 25_432 }, redis: { port: 26_379 } }
    const first = await keep(options, { consumer })
    const second = await start({ ...options, labels: { a: '1' } }, { consumer, after: first })
    const { exitCode, stdout, created } = await second.ended
    expect(stdout).toContain('Tests  1 passed (1)')
    expect({ exitCode, created }).toEqual({ exitCode: 0, created: ['postgres', 'redis'] })
    const client = new Redis({ port: 26_379, lazyConnect: true })
    await client.connect()
    expect(await client.ping()).toBe('PONG')
    client.disconnect()
  })

  test('an engine that refuses a start and removes slowly', async () => {
    const faulty = await FaultyEngine.open()
    onTestFinished(() => faulty.close())
    faulty.arm({ name: 'POST /containers/ID/start', count: 1, fault: 'refuse' }, { name: /^DELETE /, delayMs: 2_000 })
    const env = { DOCKER_HOST: faulty.host }
    const { exitCode, stderr } = await (await start({ services: ['redis'], snapshot: false }, { consumer, env })).ended
    expect(errorMessage(stderr)).toContain('the engine refused its container: (HTTP code 500)')
    expect(exitCode).toBe(1)
  })
})

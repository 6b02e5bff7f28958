import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { withPostgres } from '../../../src/services/postgres.ts'
import { EmbeddedProcess } from '../../support/start-embedded-process.ts'

vi.setConfig({ testTimeout: 60_000 })

const ONLY_POSTGRES = { services: ['postgres'] } as const

async function emptyCache(): Promise<{ cache: string; kept: () => Promise<string[]>; idOf: () => Promise<number> }> {
  const cache = await mkdtemp(join(tmpdir(), 'embedded-cache-'))
  onTestFinished(() => rm(cache, { recursive: true }))
  const folder = join(cache, 'vitest-infra/postgres')
  const kept = () => readdir(folder)
  const idOf = async () => (await stat(join(folder, (await kept())[0] ?? ''))).ino
  return { cache, kept, idOf }
}

/** Starts a run, queries its server, stops it. */
async function use(cache: string, options: object = {}): Promise<string> {
  const run = new EmbeddedProcess({
    options: { ...ONLY_POSTGRES, ...options },
    environment: { XDG_CACHE_HOME: cache },
  })
  const { postgres } = await run.up()
  const { rows } = await withPostgres(postgres, (client) =>
    client.query('SELECT count(*)::int AS tables FROM pg_tables'),
  )
  expect(rows[0]?.tables).toBeGreaterThan(0)
  await run.end()
  return postgres.version
}

test('a data directory is initialized once and then copied', async () => {
  const { cache, kept, idOf } = await emptyCache()
  await use(cache)
  const id = await idOf()
  await use(cache)
  expect(await kept()).toHaveLength(1)
  expect(await idOf()).toBe(id)
})

test.for([
  { postgres: { user: 'ada' } },
  { postgres: { password: 'other' } },
  { postgres: { database: 'shop' } },
  { postgres: { initdbArgs: '--no-data-checksums' } },
])('a separate data directory is made for %j', async (options) => {
  const { cache, kept } = await emptyCache()
  await use(cache)
  await use(cache, options)
  expect(await kept()).toHaveLength(2)
})

test('server settings need no separate data directory', async () => {
  const { cache, kept } = await emptyCache()
  await use(cache)
  await use(cache, { postgres: { settings: { work_mem: '9MB' } } })
  expect(await kept()).toHaveLength(1)
})

test.for(['global/pg_control', 'PG_VERSION'])(
  'a cached data directory with an empty %s is discarded and made again',
  async (file) => {
    const { cache, kept } = await emptyCache()
    const pathOf = async () => join(cache, 'vitest-infra/postgres', (await kept())[0] ?? '', file)
    await use(cache)
    await truncate(await pathOf(), 0)
    await use(cache)
    expect(await kept()).toHaveLength(1)
    expect((await stat(await pathOf())).size).toBeGreaterThan(0)
  },
)

test('one of several parallel runs caches the data directory, and all of them start', async () => {
  const { cache, kept } = await emptyCache()
  await Promise.all([use(cache), use(cache), use(cache), use(cache)])
  expect(await kept()).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)])
})

test('a run starts without a writable cache', async () => {
  // Not a folder.
  expect(await use('/dev/null')).toMatch(/^18/)
})

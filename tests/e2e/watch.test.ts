import { describe, expect, inject, test } from 'vitest'
import { startVitest } from './support/run-vitest.ts'

const TEST = (round: string) => `
  import { expect, inject, test } from 'vitest'
  const atImport = process.env.REDIS_URL
  test('${round}', () => {
    expect(atImport).toBe(inject('infra').redis.url)
    expect(atImport).toMatch(/^redis:/)
  })`

const DATA_TEST = (file: string) => `
  import { Redis } from 'ioredis'
  import pg from 'pg'
  import { test } from 'vitest'
  test('data', async () => {
    const redis = new Redis(process.env.REDIS_URL ?? '')
    const client = new pg.Client(process.env.DATABASE_URL)
    await client.connect()
    const { rows } = await client.query('SELECT title FROM books WHERE id > 2')
    const keys = await redis.keys('*')
    console.log('${file} found', keys.sort().join(), await redis.get('round'), rows.map(({ title }) => title).join())
    await client.end()
    redis.disconnect()
  })`

const OUTSIDE = `
  postgres: { migrations: ['../fixtures/postgres/migrations'], seeds: ['../fixtures/postgres/seeds', '../single/more.sql'] },
  redis: { isolation: 'database', seeds: ['../fixtures/redis'] },`

const inBoth = (found: string) => [`one found ${found}\n`, `two found ${found}\n`]

describe.each(inject('consumers'))('$name', (consumer) => {
  test('a rerun has the environment of the same stack, and quitting stops the stack', async () => {
    const run = await startVitest('inline-plugins', {
      consumer,
      args: ['watch', '--project=one', '--reporter=verbose'],
      terminal: true,
      files: { 'test/server.test.ts': TEST('first round') },
    })
    await run.said('Waiting for file changes')
    expect(run.stdout).toMatch(/✓ .*first round/)

    await run.write('test/server.test.ts', TEST('second round'))
    await run.said('Waiting for file changes', 2)
    expect(run.stdout).toMatch(/✓ .*second round/)

    run.type('q')
    expect(await run.ended).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('Ctrl-C while waiting for changes stops the stack', async () => {
    const run = await startVitest('endings', { consumer, args: ['watch'], terminal: true })
    await run.said('Waiting for file changes')
    run.type('\x03')
    expect(await run.ended).toMatchObject({ exitCode: 130, created: ['redis'] })
  })

  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s while waiting for changes stops the stack', async ([signal, exitCode]) => {
    const run = await startVitest('endings', { consumer, args: ['watch'] })
    await run.said('Waiting for file changes')
    run.signal(signal)
    expect(await run.ended).toMatchObject({ exitCode, created: ['redis'] })
  })

  test('Ctrl-C while tests run stops the stack', async () => {
    const run = await startVitest('endings', { consumer, args: ['watch'], terminal: true, env: { HOLD: 'test' } })
    await run.said('holding in test')
    run.type('\x03')
    await run.write('go', '')
    // Vitest counts a cancelled run as failed.
    expect(await run.ended).toMatchObject({ exitCode: 1, created: ['redis'] })
  })

  test.for([
    {
      where: 'the default folders',
      root: '.',
      options: '',
      sql: 'fixtures/postgres/seeds/more.sql',
      withoutSql: (round: string) => inBoth(`books:count,more,round ${round} `),
    },
    {
      where: 'a folder and a file outside of the root',
      root: 'test',
      options: OUTSIDE,
      sql: 'single/more.sql',
      withoutSql: () => ['more.sql" does not exist'],
    },
  ])(
    'watch mode applies edited, deleted and new seeds to every file, from $where',
    async ({ root, options, sql, withoutSql }) => {
      const book = (title: string) => `INSERT INTO books VALUES (3, '${title}', 'C');`
      const files = {
        'vitest.config.ts': `
        import { infra } from 'vitest-infra/plugin'
        import { defineConfig } from 'vitest/config'
        export default defineConfig({ root: '${root}', plugins: [infra({ ${options} })] })`,
        'fixtures/redis/round.redis': 'SET round 1\n',
        [sql]: book('Sanditon'),
        'test/one.test.ts': DATA_TEST('one'),
        'test/two.test.ts': DATA_TEST('two'),
      }
      const run = await startVitest('seeds', { consumer, files, args: ['watch', 'one', 'two'] })
      await run.said('Waiting for file changes')
      inBoth('books:count,round 1 Sanditon').forEach((line) => expect(run.stdout).toContain(line))

      // Each change causes its own rerun, with a new result.
      const change = async (path: string, text: string | undefined, expected: readonly string[]) => {
        const said = [run.stdout.length, run.stderr.length] as const
        await (text === undefined ? run.remove(path) : run.write(path, text))
        const since = () => run.stdout.slice(said[0]) + run.stderr.slice(said[1])
        await expect.poll(() => expected.filter((line) => !since().includes(line)), { timeout: 60_000 }).toEqual([])
      }
      await change('fixtures/redis/round.redis', 'SET round 2\n', inBoth('books:count,round 2 Sanditon'))
      await change('fixtures/redis/more.redis', 'SET more 1\n', inBoth('books:count,more,round 2 Sanditon'))
      // Files that are added again are watched like before: deleted twice, and edited after each return.
      for (const round of ['3', '4']) {
        await change('fixtures/redis/round.redis', undefined, inBoth('books:count,more null Sanditon'))
        await change(
          'fixtures/redis/round.redis',
          `SET round ${round}\n`,
          inBoth(`books:count,more,round ${round} Sanditon`),
        )
        await change(sql, undefined, withoutSql(round))
        await change(sql, book('Lady Susan'), inBoth(`books:count,more,round ${round} Lady Susan`))
        await change(sql, book('Sanditon'), inBoth(`books:count,more,round ${round} Sanditon`))
      }
      await change('fixtures/redis/more.redis', 'SETT more 1\n', ['fixtures/redis/more.redis:1: SETT'])
      expect(run.stdout + run.stderr).not.toMatch(/Cannot (start|empty)/)
    },
  )
})

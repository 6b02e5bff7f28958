import { describe, expect, inject, test } from 'vitest'
import { RUNNERS } from './support/pools.ts'
import { anyServers, runVitest } from './support/run-vitest.ts'

/** Forty in the pool that most suites run in; in the others as many as show whether it holds there. */
const FILES = 40
const FEWER_FILES = 12

/** Files that do the same with the same names. */
function worlds(count: number): Record<string, string> {
  const numbers = Array.from({ length: count }, (_, index) => index)
  return Object.fromEntries(
    numbers.map((number) => [
      `test/file-${number}.test.ts`,
      `import { ownWorld } from '../src/own-world.ts'\nownWorld('${number}')\n`,
    ]),
  )
}

/** A benchmark that can only insert its row into its own database. */
const BENCHMARKS = {
  4: `import { bench } from 'vitest'
    import { pool } from '../src/app.ts'
    const { rows } = await pool.query("INSERT INTO customers (name) VALUES ('ada') RETURNING id")
    console.log('row', rows[0].id)
    bench('SELECT', async () => void (await pool.query('SELECT 1')), { iterations: 5, time: 1 })`,
  5: `import { test } from 'vitest-infra/test'
    import { pool } from '../src/app.ts'
    test('rows', async ({ bench, database }) => {
      const write = "INSERT INTO customers (name) VALUES ('ada') RETURNING id"
      const [{ rows }] = await Promise.all([pool.query(write), database.pool.query(write)])
      console.log('row', rows[0].id)
      await bench('SELECT', { iterations: 5, time: 1 }, async () => void (await database.pool.query('SELECT 1'))).run()
    })`,
}

test.for(RUNNERS)('dozens of files see only their own data in $name', async ({ consumer, pool, option }) => {
  const count = pool === 'forks' && consumer.vitestMajor === 5 ? FILES : FEWER_FILES
  const run = await runVitest('isolation', {
    consumer,
    env: anyServers(consumer),
    args: ['run', option],
    files: worlds(count),
  })
  expect(run.stdout).toContain(`Test Files  ${count} passed (${count})`)
  expect(run.stdout).toContain(`Tests  ${count * 5} passed (${count * 5})`)
  expect(run.stderr).not.toContain('Error')
  expect(run.exitCode).toBe(0)
})

describe.each(inject('consumers'))('$name', (consumer) => {
  test('benchmarks have databases of their own', async () => {
    const files = {
      'bench/one.bench.ts': BENCHMARKS[consumer.vitestMajor],
      'bench/two.bench.ts': BENCHMARKS[consumer.vitestMajor],
    }
    const run = await runVitest('isolation', { consumer, env: anyServers(consumer), args: ['bench', '--run'], files })
    expect(run.stdout.match(/^row \d+$/gm)).toEqual(['row 2', 'row 2'])
    expect(run.exitCode).toBe(0)
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  // Without it, the tests above would prove nothing.
  test('files that share a database clash', async () => {
    const config = `import { infra } from 'vitest-infra/plugin'
      export default { plugins: [infra({ isolation: 'shared' })], test: { maxWorkers: 1 } }`
    const run = await runVitest('isolation', {
      consumer,
      env: anyServers(consumer),
      files: { ...worlds(4), 'vitest.config.ts': config },
    })
    // One after the other, so that it does not depend on the time which of them meet: the first file meets none.
    expect(run.stdout).toContain('Test Files  3 failed | 1 passed (4)')
  })

  test('parallel shards see only their own data', async () => {
    const shard = (part: string) =>
      runVitest('isolation', {
        consumer,
        env: anyServers(consumer),
        args: ['run', `--shard=${part}`],
        files: worlds(8),
      })
    const runs = await Promise.all([shard('1/2'), shard('2/2')])
    for (const run of runs) {
      expect(run.stdout).toContain('Test Files  4 passed (4)')
      expect(run.exitCode).toBe(0)
    }
  })

  test("concurrent tests of a file share the file's database", async () => {
    const file = `import { afterAll, expect, test } from 'vitest'
      import { pool } from '../src/app.ts'
      const add = (name: string) => async () => void (await pool.query('INSERT INTO customers (name) VALUES ($1)', [name]))
      for (const name of 'abcdefgh') test(name, add(name))
      afterAll(async () => {
        expect((await pool.query('SELECT count(*)::int AS count FROM customers')).rows).toEqual([{ count: 9 }])
      })`
    const run = await runVitest('isolation', {
      consumer,
      env: anyServers(consumer),
      args: ['run', '--sequence.concurrent'],
      files: { 'test/one.test.ts': file, 'test/two.test.ts': file },
    })
    expect(run.stdout).toContain('Tests  16 passed (16)')
    expect(run.exitCode).toBe(0)
  })
})

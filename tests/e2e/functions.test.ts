import { describe, expect, inject, test } from 'vitest'
import { errorMessage } from './support/plain.ts'
import { LOCAL, runVitest } from './support/run-vitest.ts'

/** Functions with the same text that close over different values. */
const FUNCTIONS = `
  const users = (count) => async ({ pool }) => {
    await pool.query('CREATE TABLE users AS SELECT FROM generate_series(1, ' + count + ')')
  }
  async function boundUsers({ pool }) {
    await pool.query('CREATE TABLE users AS SELECT FROM generate_series(1, ' + this.count + ')')
  }
  class Users {
    constructor(count) { this.count = count }
    fill = async ({ pool }) => boundUsers.call(this, { pool })
  }`

/** Each in a file that names its template, and says how many users it has. */
function countingTest(template: string, count: number): string {
  return `import { expect } from 'vitest'
    import { test, useTemplate } from 'vitest-infra/test'
    useTemplate('${template}')
    test('it', async ({ database }) => {
      const { rows } = await database.pool.query('SELECT count(*)::int FROM users')
      expect(rows).toEqual([{ count: ${count} }])
    })`
}

/** Of the file that all projects run. */
const COUNTING = `import { test } from 'vitest-infra/test'
  test('it', async ({ database, task }) => {
    const { rows } = await database.pool.query('SELECT count(*)::int AS count FROM users')
    console.log('users', rows[0].count)
  })`

function usersIn(stdout: string): string[] {
  return stdout.match(/^users \d+$/gm)?.toSorted() ?? []
}

test.for(inject('newest'))(
  'functions with the same text and different closures make separate templates',
  async (consumer) => {
    const config = `import { infra } from 'vitest-infra/plugin'
    ${FUNCTIONS}
    const named = (count) => ({ name: 'users', files: [], run: users(count) })
    const keyed = (count) => ({ ...named(count), key: 'users ' + count })
    const templates = {
      factorySmall: users(1), factoryBig: users(10),
      boundSmall: boundUsers.bind({ count: 2 }), boundBig: boundUsers.bind({ count: 20 }),
      methodSmall: new Users(3).fill, methodBig: new Users(30).fill,
      stepSmall: named(4), stepBig: named(40),
      keySmall: keyed(5), keyBig: keyed(50),
    }
    export default { plugins: [infra({
      services: ['postgres'],
      templates: Object.fromEntries(Object.entries(templates).map(([name, seeds]) => [name, { seeds }])),
    })] }`
    const kinds = ['factory', 'bound', 'method', 'step', 'key']
    const tests = kinds.flatMap((kind, index) => [
      [`test/${kind}-small.test.ts`, countingTest(`${kind}Small`, index + 1)],
      [`test/${kind}-big.test.ts`, countingTest(`${kind}Big`, (index + 1) * 10)],
    ])
    const files = { 'vitest.config.ts': config, ...Object.fromEntries(tests) }
    const run = await runVitest('external', { consumer, env: LOCAL, files })
    expect(run.stdout).toContain('Test Files  10 passed (10)')
    expect(run.exitCode).toBe(0)
  },
)

describe.each(inject('consumers'))('$name', (consumer) => {
  test('projects whose different functions have the same text fail with a remedy', async () => {
    const config = `import { infra } from 'vitest-infra/plugin'
      ${FUNCTIONS}
      const project = (name, count) => ({
        extends: true,
        plugins: [infra({ services: ['postgres'], postgres: { seeds: users(count) } })],
        test: { name },
      })
      export default { test: { projects: [project('one', 1), project('two', 10)] } }`
    const run = await runVitest('external', {
      consumer,
      env: LOCAL,
      files: { 'vitest.config.ts': config, 'test/users.test.ts': COUNTING },
    })
    expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
      "Cannot start the stack: two projects of this run fill its databases with functions that have the same text but are different objects, so their results may differ
      Move the functions into one infra.config.ts at the root, or give each as a step with a key: { name, key, files, run }"
    `)
    expect(run.exitCode).toBe(1)
  })

  test('projects that extend one config file share its functions and add their own templates', async () => {
    const config = `import { infra } from 'vitest-infra/plugin'
      ${FUNCTIONS}
      export default {
        plugins: [infra({ services: ['postgres'], postgres: { seeds: users(7) }, env: () => ({ SOME: 'thing' }) })],
        test: { projects: [{ extends: true, test: { name: 'one' } }, { extends: true, test: { name: 'two' } }] },
      }`
    const run = await runVitest('external', {
      consumer,
      env: LOCAL,
      files: { 'vitest.config.ts': config, 'test/users.test.ts': COUNTING },
    })
    expect(run.stderr).not.toContain('Error')
    expect(usersIn(run.stdout)).toEqual(['users 7', 'users 7'])
    expect(run).toMatchObject({ exitCode: 0, created: [] })
  })

  test('projects share the functions of one global setup, and of one infra.config.ts', async () => {
    const config = (globalSetup: string) => `export default {
        test: {
          globalSetup: ['${globalSetup}'],
          projects: [{ extends: true, test: { name: 'one' } }, { extends: true, test: { name: 'two' } }],
        },
      }`
    const own = await runVitest('external', {
      consumer,
      env: LOCAL,
      files: {
        'vitest.config.ts': config('./setup.ts'),
        'setup.ts': `import { createGlobalSetup } from 'vitest-infra/global-setup'
          ${FUNCTIONS.replaceAll(/^ {4}constructor.*$/gm, '')}
          export default createGlobalSetup({ services: ['postgres'], postgres: { seeds: users(8) } })`,
        'test/users.test.ts': COUNTING,
      },
    })
    expect(own.stderr).not.toContain('Error')
    expect(usersIn(own.stdout)).toEqual(['users 8', 'users 8'])
    expect(own).toMatchObject({ exitCode: 0, created: [] })
    const common = await runVitest('external', {
      consumer,
      env: LOCAL,
      files: {
        'vitest.config.ts': config('vitest-infra/global-setup'),
        'infra.config.mjs': `${FUNCTIONS}
          export default { services: ['postgres'], postgres: { seeds: users(9) } }`,
        'test/users.test.ts': COUNTING,
      },
    })
    expect(usersIn(common.stdout)).toEqual(['users 9', 'users 9'])
    expect(common).toMatchObject({ exitCode: 0, created: [] })
  })
})

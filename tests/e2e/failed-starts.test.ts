import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { LOCAL, runVitest, startVitest } from './support/run-vitest.ts'

const WRONG = 'SET only-a-key'
const REASON = "Cannot load fixtures/redis/one.redis:1: SET: ERR wrong number of arguments for 'set' command"

/** Runs the tests by Vitest's own interface, as an editor does, and writes down how each round went. */
const ROUNDS = `
  import { writeFileSync } from 'node:fs'
  import { createVitest } from 'vitest/node'
  const vitest = await createVitest('test', { watch: process.argv[2] === 'watch' })
  const say = (round) => (run) => run.then(
    ({ testModules, unhandledErrors: [error] }) => {
      // Vitest 5.1.2 and later do not reject.
      if (error) throw error
      console.log(round, JSON.stringify(testModules.map((module) => [module.state(), ...module.errors().map(({ message }) => message.split(':1')[0])])))
    }).catch(({ message }) => console.log(round, message.split(':1')[0]))
  await say('first')(vitest.start())
  const specifications = await vitest.globTestSpecifications()
  await say('second')(vitest.runTestSpecifications(specifications))
  writeFileSync('fixtures/redis/one.redis', 'SET key value')
  await say('third')(vitest.runTestSpecifications(specifications))
  await say('fourth')(vitest.rerunTestSpecifications(specifications))
  await vitest.close()
`

const PLUGIN = `
  import { infra } from 'vitest-infra/plugin'
  export default { plugins: [infra({ services: ['redis'] })], test: { globalSetup: ['./own.ts'] } }`
const FILES = {
  'vitest.config.ts': PLUGIN,
  'own.ts': "export default () => { console.log('own setup with', process.env.REDIS_URL?.slice(0, 8)) }",
  'fixtures/redis/one.redis': WRONG,
  'test/server.test.ts': `
    import { Redis } from 'ioredis'
    import { expect, test } from 'vitest'
    test('seeded', async () => {
      const redis = new Redis(process.env.REDIS_URL)
      expect(await redis.get('key')).toBe('value')
      redis.disconnect()
    })`,
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for([
    ['run', 'first Cannot load fixtures/redis/one.redis', 'second Cannot load fixtures/redis/one.redis'],
    [
      'watch',
      'first [["failed","Cannot load fixtures/redis/one.redis"]]',
      'second [["failed","Cannot load fixtures/redis/one.redis"]]',
    ],
  ] as const)(
    "with Vitest's Node API, each round after a failed start tries again: %s",
    async ([mode, first, second]) => {
      const run = await startVitest('inline-plugins', {
        consumer,
        env: LOCAL,
        program: ['rounds.mjs', mode],
        files: { ...FILES, 'rounds.mjs': ROUNDS },
      })
      const { stdout, stderr, exitCode } = await run.ended
      expect(stdout).toContain(first)
      expect(stdout).toContain(second)
      expect(stdout).toContain('third [["passed"]]')
      expect(stdout).toContain('fourth [["passed"]]')
      // Not with a start that failed, and once with the one that did not.
      expect(stdout.match(/own setup with .*/g)).toEqual(['own setup with redis://'])
      expect(stdout + stderr).not.toContain('TypeError')
      expect(exitCode).toBe(1)
    },
  )

  test('watch mode watches the file that made the start fail', async () => {
    const run = await startVitest('inline-plugins', {
      consumer,
      args: ['watch'],
      terminal: true,
      env: LOCAL,
      files: FILES,
    })
    await run.said('Watching for file changes')
    expect(run.stdout).toContain(REASON)
    // Another failed rerun does not end Vitest either.
    await run.write('test/server.test.ts', `${FILES['test/server.test.ts']}\n`)
    await run.said(REASON, 2)
    await run.write('fixtures/redis/one.redis', 'SET key value')
    await run.said('Waiting for file changes')
    run.type('q')
    await run.ended
    expect(run.stdout).not.toContain('TypeError')
  })

  test('watch mode watches a configuration that cannot be loaded', async () => {
    const run = await startVitest('inline-plugins', {
      consumer,
      args: ['watch'],
      terminal: true,
      env: LOCAL,
      files: { ...FILES, 'fixtures/redis/one.redis': 'SET key value', 'infra.config.ts': "throw new Error('not yet')" },
    })
    await run.said('not yet')
    await run.said('Watching for file changes')
    await writeFile(join(run.folder, 'infra.config.ts'), 'export default {}')
    await run.said('Waiting for file changes')
    run.type('q')
    expect((await run.ended).stdout).not.toContain('TypeError')
  })

  test('a project without its global setup fails with an error that explains it', async () => {
    const run = await runVitest('inline-plugins', {
      consumer,
      env: LOCAL,
      files: {
        ...FILES,
        'vitest.config.ts': `
          import { infra } from 'vitest-infra/plugin'
          const without = { name: 'without', configureVitest({ project }) { project.config.globalSetup = [] } }
          export default { plugins: [infra({ services: ['redis'] }), without] }`,
      },
    })
    expect(run.stderr).toContain(
      'InfraError: Cannot give this file its services: the global setup of vitest-infra did not run',
    )
    expect(run.exitCode).toBe(1)
  })
})

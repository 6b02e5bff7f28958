import { describe, expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { RUNNERS } from './support/pools.ts'
import { LOCAL, runVitest } from './support/run-vitest.ts'

/** Prints the variables of a project's test: whether they point to this file's Redis, and which others are set. */
const seeing = (name: string) => `
  import { inject, test } from 'vitest'
  test('sees', () => {
    const { REDIS_URL } = process.env
    const own = REDIS_URL !== undefined && REDIS_URL === inject('infra')?.redis?.url
    console.log('${name} sees', own ? 'its own' : REDIS_URL, process.env.REDIS_PORT === undefined)
  })`
const config = (body: string) => `
  import { infra } from 'vitest-infra/plugin'
  const redis = () => infra({ services: ['redis'] })
  export default ${body}`
const said = (stdout: string) =>
  sortedLines(stdout)
    .split('\n')
    .filter((line) => / sees /.test(line))

test.for(RUNNERS)(
  "a project without services gets only the user's variables, with other projects or alone, in $name",
  async ({ consumer, pool }) => {
    const files = {
      'vitest.config.ts': config(`{ test: { pool: '${pool}', projects: [
      { extends: true, plugins: [redis()], test: { name: 'served', include: ['served.test.ts'] } },
      { extends: true, plugins: [infra({ services: [] })], test: { name: 'none', include: ['none.test.ts'] } },
      { extends: true, test: { name: 'bare', include: ['bare.test.ts'] } },
      { extends: true, test: { name: 'word', include: ['word.test.ts'], env: { REDIS_URL: 'redis://word' } } },
    ] } }`),
      'served.test.ts': seeing('served'),
      'none.test.ts': seeing('none'),
      'bare.test.ts': seeing('bare'),
      'word.test.ts': seeing('word'),
    }
    const env = { ...LOCAL, REDIS_URL: 'redis://of-the-user' }
    const run = await runVitest('mixed', { consumer, env, files })
    const others = ['bare sees redis://of-the-user true', 'none sees redis://of-the-user true']
    expect(said(run.stdout)).toEqual([...others, 'served sees its own false', 'word sees redis://word true'])
    const alone = await runVitest('mixed', { consumer, env, files, args: ['run', 'bare.test.ts', 'none.test.ts'] })
    expect(said(alone.stdout)).toEqual(others)
  },
)

describe.each(inject('consumers'))('$name', (consumer) => {
  test('the plugin at the root serves projects that do not extend it, unless they opt out', async () => {
    const files = {
      'vitest.config.ts': config(
        "{ plugins: [redis()], test: { projects: ['packages/*', { test: { name: 'inline', include: ['inline.test.ts'] } }] } }",
      ),
      'inline.test.ts': seeing('inline'),
      'packages/plain/vitest.config.ts': "export default { test: { globalSetup: ['./setup.ts'] } }",
      'packages/plain/setup.ts': 'export default () => {}',
      'packages/plain/plain.test.ts': seeing('plain'),
      'packages/own/vitest.config.ts': config('{ plugins: [redis()] }'),
      'packages/own/own.test.ts': seeing('own'),
      'packages/out/vitest.config.ts': config('{ plugins: [infra({ services: [] })] }'),
      'packages/out/out.test.ts': seeing('out'),
    }
    const run = await runVitest('mixed', { consumer, env: LOCAL, files })
    expect(said(run.stdout)).toEqual([
      'inline sees its own false',
      'out sees undefined true',
      'own sees its own false',
      'plain sees its own false',
    ])
    expect(run.stderr).toContain(
      'infra  project "plain" has its own global setup, which runs before that of the root: add infra() to its plugins, so that the variables are set there\n',
    )
    expect(run.exitCode).toBe(0)

    const alone = await runVitest('mixed', { consumer, env: LOCAL, files, args: ['run', 'out.test.ts'] })
    expect(said(alone.stdout)).toEqual(['out sees undefined true'])
    expect(alone).toMatchObject({ exitCode: 0, stderr: '' })
  })

  test('the lease overrides test.env loaded from an env file, not values written by hand', async () => {
    const run = await runVitest('mixed', {
      consumer,
      env: LOCAL,
      files: {
        'vitest.config.ts': `
          import { infra } from 'vitest-infra/plugin'
          import { parseEnv } from 'node:util'
          import { readFileSync } from 'node:fs'
          const loaded = parseEnv(readFileSync('.env.local', 'utf8'))
          export default { plugins: [infra({ services: ['redis'] })], test: {
            include: ['one.test.ts'],
            env: { ...loaded, REDIS_URL: 'redis://dev@localhost:6379/1', REDIS_HOST: 'redis://:secret@by-hand', OTHER: 'x' },
          } }`,
        '.env.local': 'REDIS_PORT=6379\nREDIS_URL=redis://dev@localhost:${REDIS_PORT}/1\nLOADED=y\n',
        'one.test.ts': `
          import { expect, inject, test } from 'vitest'
          test('sees', () => {
            const { redis, env } = inject('infra')
            for (const seen of [process.env, env]) {
              expect(seen).toMatchObject({ REDIS_URL: redis.url, REDIS_PORT: String(redis.port), LOADED: 'y', OTHER: 'x' })
              expect(seen.REDIS_HOST).toBe('redis://:secret@by-hand')
            }
          })`,
      },
    })
    expect(run.stdout).toContain('Tests  1 passed (1)')
    const lines = run.stderr.split('\n').filter((line) => line.includes('test.env'))
    expect(lines).toEqual([
      'infra  test.env repeats REDIS_PORT, REDIS_URL from the environment or an env file: tests get the values of their lease instead',
      'infra  test.env sets REDIS_HOST to redis://:***@by-hand: tests use that instead of their lease; remove it from test.env if they should use the lease',
    ])
  })
})

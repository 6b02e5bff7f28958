import { describe, expect, inject, test } from 'vitest'
import { type ContainerDetails, containersOf } from './support/containers.ts'
import { sortedLines } from './support/plain.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

describe.each(inject('consumers'))('$name', (consumer) => {
  test('one line of configuration puts both servers into the environment of every test', async () => {
    const run = await runVitest('plain', { consumer })
    expect(run.stdout).toMatchInlineSnapshot(`
      "RUN  v<version> <project>

      stdout | test/shop.test.ts > the facts agree with each other
      {
        "provider": "docker",
        "postgres": {
          "host": "localhost",
          "port": <port>,
          "user": "postgres",
          "password": "<password>",
          "database": "<leased database>",
          "url": "postgres://postgres:<password>@localhost:<port>/<leased database>",
          "version": "<version>"
        },
        "redis": {
          "host": "localhost",
          "port": <port>,
          "url": "redis://localhost:<port>",
          "version": "<version>"
        },
        "services": {
          "postgres": {
            "host": "localhost",
            "port": <port>,
            "state": "healthy"
          },
          "redis": {
            "host": "localhost",
            "port": <port>,
            "state": "healthy"
          }
        },
        "env": {
          "POSTGRES_USER": "postgres",
          "POSTGRES_PASSWORD": "<password>",
          "POSTGRES_DB": "<leased database>",
          "POSTGRES_PORT": "<port>",
          "DB_HOST": "localhost",
          "DB_PORT": "<port>",
          "DB_USER": "postgres",
          "DB_PASSWORD": "<password>",
          "DB_NAME": "<leased database>",
          "DATABASE_URL": "postgres://postgres:<password>@localhost:<port>/<leased database>",
          "PGHOST": "localhost",
          "PGPORT": "<port>",
          "PGUSER": "postgres",
          "PGPASSWORD": "<password>",
          "PGDATABASE": "<leased database>",
          "REDIS_HOST": "localhost",
          "REDIS_PORT": "<port>",
          "REDIS_URL": "redis://localhost:<port>"
        }
      }

       ✓ test/shop.test.ts (5 tests) <time>

       Test Files  1 passed (1)
            Tests  5 passed (5)"
    `)
    expect(sortedLines(run.stderr)).toMatchInlineSnapshot(`
      "infra  1 lease, waited <time>
      infra  Docker Engine <version> at <host> (<source>)
      infra  postgres <version> healthy after <time>, redis <version> healthy after <time>
      infra  template "default" built in <time>"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
  })

  test('the environment is set before the first import in every pool and in a reused worker', async () => {
    const run = await runVitest('pools', { consumer })
    expect(sortedLines(run.stdout)).toMatchInlineSnapshot(`
      "      Tests  10 passed (10)
       Test Files  10 passed (10)
       ✓ |forks| test/first.test.ts (1 test) <time>
       ✓ |forks| test/second.test.ts (1 test) <time>
       ✓ |shared worker| test/first.test.ts (1 test) <time>
       ✓ |shared worker| test/second.test.ts (1 test) <time>
       ✓ |threads| test/first.test.ts (1 test) <time>
       ✓ |threads| test/second.test.ts (1 test) <time>
       ✓ |vmForks| test/first.test.ts (1 test) <time>
       ✓ |vmForks| test/second.test.ts (1 test) <time>
       ✓ |vmThreads| test/first.test.ts (1 test) <time>
       ✓ |vmThreads| test/second.test.ts (1 test) <time>
      RUN  v<version> <project>"
    `)
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('options reach servers, environment and containers', async () => {
    const run = await startVitest('options', { consumer })
    await run.said('holding')
    const containers = await containersOf(run.project)
    await run.write('go', '')
    const { stdout, exitCode } = await run.ended
    expect(stdout).toMatchInlineSnapshot(`
      "RUN  v<version> <project>

      stdout | test/options.test.ts
      holding

       ✓ test/options.test.ts (8 tests) <time>

       Test Files  1 passed (1)
            Tests  8 passed (8)"
    `)
    expect(exitCode).toBe(0)

    const [postgres, redis] = ['postgres', 'redis'].map((service) =>
      containers.find(({ Config }) => Config.Labels['vitest-infra.service'] === service),
    )
    const common = {
      'vitest-infra.project': run.project,
      'vitest-infra.owner': `${run.pid}`,
      team: 'checkout',
      tier: 'e2e',
    }
    expect(postgres?.Config.Labels).toMatchObject({ ...common, kind: 'database' })
    expect(redis?.Config.Labels).toMatchObject(common)
    expect(redis?.Config.Labels).not.toHaveProperty('kind')
    expect([postgres?.Config.Image, redis?.Config.Image]).toEqual(['postgres:18-alpine', 'redis:8-alpine'])
    expect(postgres?.Config.Healthcheck?.Test?.[1]).toMatch(/^pg_isready --host 127\.0\.0\.1 /)
    expect(postgres?.Config.Labels['vitest-infra.run']).toBe(redis?.Config.Labels['vitest-infra.run'])
    expect(Object.keys(postgres?.HostConfig.Tmpfs ?? {})).toEqual(['/var/lib/postgresql'])
    expect(Object.keys(redis?.HostConfig.Tmpfs ?? {})).toEqual(['/data'])
    expect(containers.flatMap(({ Mounts }) => Mounts)).toEqual([])
    expect(publishedAddresses(containers)).toEqual(new Set(['127.0.0.1']))
  })
})

function publishedAddresses(containers: readonly ContainerDetails[]): Set<string> {
  const bindings = containers.flatMap(({ NetworkSettings }) => Object.values(NetworkSettings.Ports).flat())
  return new Set(bindings.map(({ HostIp }) => HostIp))
}

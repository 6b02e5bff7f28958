import { expect, inject, test } from 'vitest'
import { errorMessage } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

const configured = (options: string) => ({ 'infra.config.ts': `export default ${options}` })

test('all invalid options are listed and nothing starts', async () => {
  const files = configured("{ postgress: { user: 'me' }, redis: { port: 'any' } }")
  const run = await runVitest('plain', { consumer, files })
  expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
    "Cannot use the options of <project>/infra.config.ts: postgress is not an option; redis.port must be "random", "env" or a number, but is "any"
    Correct them; README.md, "Configuration", lists every option"
  `)
  expect(run.stdout).toMatchInlineSnapshot(`"RUN  v<version> <project>"`)
  expect(run).toMatchObject({ exitCode: 1, created: [] })
})

test('a healthcheck that never passes fails the run with all that is known', async () => {
  const healthcheck = "{ cmd: 'echo no luck; false', interval: '1s', retries: 4 }"
  const files = configured(`{ services: ['redis'], startupTimeoutMs: 4000, redis: { healthcheck: ${healthcheck} } }`)
  const run = await runVitest('plain', { consumer, files })
  const message = errorMessage(run.stderr)
  expect(message).toContain('Cannot start service "redis": it is still unhealthy after <time>, the limit\n')
  expect(message).toContain('Last results:\n  <time> healthcheck failed: no luck\n')
  expect(message).toContain('Last lines of the log of vitest-infra-<run>-redis:\n')
  expect(message).toContain('Ready to accept connections tcp\n')
  expect(message).toMatch(/\nRaise startupTimeoutMs or VITEST_INFRA_STARTUP_TIMEOUT_MS .*$/)
  expect(run.stdout).not.toContain('✓')
  expect(run.elapsedMs).toBeLessThan(15_000)
  expect(run).toMatchObject({ exitCode: 1, created: ['redis'] })
})

test('a server that exits at once is reported within seconds, with its log', async () => {
  const files = configured("{ postgres: { settings: { shared_preload_libraries: 'nope' } } }")
  const run = await runVitest('plain', { consumer, files })
  const message = errorMessage(run.stderr)
  expect(message).toMatch(/^Cannot start service "postgres": its server exited with code 1 before it was healthy\n/)
  expect(message).toContain('Last lines of the log of vitest-infra-<run>-postgres:\n')
  expect(message).toContain('FATAL:  could not access file "nope": No such file or directory\n')
  expect(message).toMatch(/\nCorrect the error in its log; .*-c shared_preload_libraries=nope$/)
  // The time of the start itself; the rest of the run may be slow on a busy machine.
  expect(run.elapsedMs).toBeLessThan(60_000)
  expect(run).toMatchObject({ exitCode: 1, created: ['postgres', 'redis'] })
})

test('a server that exits before it can be inspected is reported with its log', async () => {
  const run = await runVitest('plain', {
    consumer,
    files: configured("{ redis: { args: ['--maxclients', 'nope'] } }"),
  })
  const message = errorMessage(run.stderr)
  expect(message).toMatch(/^Cannot start service "redis": its server exited with code 1 before it was healthy\n/)
  expect(message).toContain('>>> \'maxclients "nope"\'\n')
  expect(run).toMatchObject({ exitCode: 1, created: ['postgres', 'redis'] })
})

test('a DOCKER_HOST that does not answer is named within 5 s, and no test runs', async () => {
  const run = await runVitest('plain', { consumer, env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' } })
  expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
    "Cannot reach the container engine at unix:///nowhere/docker.sock: DOCKER_HOST is set, but nothing answers there (ENOENT)
    Start it, or unset DOCKER_HOST to use the current docker context"
  `)
  expect(run.stdout).toMatchInlineSnapshot(`"RUN  v<version> <project>"`)
  expect(run.elapsedMs).toBeLessThan(5_000)
  expect(run).toMatchObject({ exitCode: 1, created: [] })
})

test("a failed pull stops the other service and reports the registry's reason", async () => {
  const run = await runVitest('plain', {
    consumer,
    files: configured("{ redis: { image: 'localhost:1/nothing:0' } }"),
  })
  expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
    "Cannot pull image "localhost:1/nothing:0": Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused
    Check the network and the proxy of the engine"
  `)
  expect(run.exitCode).toBe(1)
})

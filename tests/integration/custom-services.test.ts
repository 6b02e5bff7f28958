import type { Duplex } from 'node:stream'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { ContainerCheck } from '../../src/providers/docker/container/container-check.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { tiedEntrypoint } from '../../src/providers/docker/container/lifeline-script.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { engine, Project } from '../support/snapshot-runs.ts'

/** The image of Redis, as a custom service. */
const cache = {
  image: 'redis:8-alpine',
  port: 7000,
  healthcheck: { cmd: 'redis-cli -p 7000 ping | grep PONG' },
  command: ['redis-server', '--port', '7000', '--save', ''],
}
const ALONE = { postgres: false, redis: false } as const

async function start(options: InfraOptions) {
  return (await Project.create()).start(options)
}

async function ping(port: number): Promise<string> {
  const client = new Redis(port)
  try {
    return await client.ping()
  } finally {
    client.disconnect()
  }
}

test('a custom service starts with the others and is in facts and variables', async () => {
  const { facts, variables } = await start({
    services: {
      postgres: false,
      cache: { ...cache, env: ({ host, port }) => ({ CACHE_URL: `redis://${host}:${port}` }) },
    },
  })
  const { port } = facts.services['cache'] ?? { port: 0 }
  expect(facts.services).toEqual({
    redis: expect.objectContaining({ state: 'healthy' }) as object,
    cache: { host: 'localhost', port, state: 'healthy' },
  })
  expect(variables).toMatchObject({
    CACHE_HOST: 'localhost',
    CACHE_PORT: String(port),
    CACHE_URL: `redis://localhost:${port}`,
    REDIS_HOST: 'localhost',
  })
  expect(await ping(port)).toBe('PONG')
})

test("a custom service without a command runs its image's own", async () => {
  const { facts } = await start({
    services: { ...ALONE, cache: { image: 'redis:8-alpine', port: 6379, healthcheck: { cmd: 'redis-cli ping' } } },
  })
  expect(await ping(facts.services['cache']?.port ?? 0)).toBe('PONG')
})

test('a service without a listener on its port is not healthy, whatever its healthcheck says', async () => {
  const starting = start({
    startupTimeoutMs: 1500,
    services: { ...ALONE, cache: { ...cache, port: 7001, healthcheck: { cmd: 'true', interval: '1s' } } },
  })
  await expect(starting).rejects.toMatchObject({
    code: 'INFRA_SERVICE_UNHEALTHY',
    message: expect.stringMatching(
      /service "cache"[^]*query failed: (?:the connection was closed at once|read ECONNRESET)/,
    ) as string,
  })
})

test('a service that exits before it is healthy is reported with exit code and last lines', async () => {
  const command = ['sh', '-c', 'echo no licence; exit 3']
  await expect(start({ services: { ...ALONE, cache: { ...cache, command } } })).rejects.toMatchObject({
    code: 'INFRA_SERVICE_EXITED',
    message: expect.stringMatching(/its server exited with code 3[^]*no licence/) as string,
  })
})

/** A server that ignores every signal that it can. */
const STUBBORN = [
  'sh',
  '-c',
  'trap "" INT TERM QUIT HUP; redis-server --port 7000 --save "" & while :; do sleep 1; done',
]

async function pathExists(container: string): Promise<boolean> {
  const { dockerode } = await engine()
  return dockerode
    .getContainer(container)
    .inspect()
    .then(
      () => true,
      () => false,
    )
}

test.for([
  ['that ends when it is asked to', cache.command],
  ['that heeds no signal', STUBBORN],
] as const)('a server %s is removed with its stack', async ([, command]) => {
  const run = await start({ services: { ...ALONE, cache: { ...cache, command } } })
  const container = run.containers['cache'] ?? ''
  expect(await pathExists(container)).toBe(true)
  await run.stop()
  await expect.poll(() => pathExists(container), { timeout: 5_000 }).toBe(false)
})

test('a server that ignores signals exits after its run is killed', { timeout: 90_000 }, async () => {
  const { dockerode } = await engine()
  const container = await dockerode.createContainer({
    Image: cache.image,
    Entrypoint: tiedEntrypoint([], { run: 'run', graceMs: 1_000 }, { isCustom: true }),
    Cmd: STUBBORN,
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { AutoRemove: true, Tmpfs: { '/data': 'rw' } },
  })
  onTestFinished(() => container.remove({ force: true }).catch(() => {}))
  const input = await container.attach({ hijack: true, stream: true, stdin: true })
  await container.start()
  ;(input as Duplex).destroy()
  await expect.poll(() => pathExists(container.id), { timeout: 15_000 }).toBe(false)
})

test("a container passes the engine's stop signal to its server and exits with its code", async () => {
  const { dockerode } = await engine()
  const container = await dockerode.createContainer({
    Image: cache.image,
    Entrypoint: tiedEntrypoint([], { run: 'run' }, { isCustom: true }),
    Cmd: ['sh', '-c', 'trap "exit 7" TERM; touch /data/ready; while :; do sleep 0.1; done'],
    OpenStdin: true,
    HostConfig: { Tmpfs: { '/data': 'rw' } },
  })
  onTestFinished(() => container.remove({ force: true }))
  await container.start()
  await expect.poll(() => check(container.id, 'test -e /data/ready'), { timeout: 5_000 }).toBe(true)
  await container.stop({ t: 10 })
  expect((await container.inspect()).State).toMatchObject({ Running: false, ExitCode: 7 })
})

async function check(id: string, command: string): Promise<boolean> {
  const check = new ContainerCheck({ api: new EngineApi((await engine()).found), id, command, folder: '/' })
  return (await check.run()).passed
}

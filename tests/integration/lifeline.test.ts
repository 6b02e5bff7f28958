import { homedir, userInfo } from 'node:os'
import type { Duplex } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { ContainerExit } from '../../src/providers/docker/container/container-exit.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { tiedEntrypoint } from '../../src/providers/docker/container/lifeline-script.ts'
import { ownerLabels } from '../../src/providers/docker/container/owner.ts'
import { sweep } from '../../src/providers/docker/container/sweep.ts'
import { type Tied, tie } from '../../src/providers/docker/container/tie.ts'
import type { Container } from '../support/dockerode.ts'

const { platform, env: environment } = process
const engine = await findEngine({ platform, environment, homeDirectory: homedir(), userId: userInfo().uid })
const { dockerode } = (await connectTestcontainers(engine, environment)).container
const api = new EngineApi(engine)

const HOLD = { run: 'run' }
const ENTRYPOINT = 'docker-entrypoint.sh'
const POSTGRES = { Image: 'postgres:18-alpine', Cmd: ['postgres'], Env: ['POSTGRES_PASSWORD=secret'] }
const REDIS = { Image: 'redis:8-alpine', Cmd: ['redis-server'], Env: [] }

async function create(server: typeof POSTGRES, labels: Record<string, string> = {}): Promise<Container> {
  const container = await dockerode.createContainer({
    ...server,
    Labels: labels,
    Entrypoint: tiedEntrypoint([ENTRYPOINT], HOLD),
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { AutoRemove: true, Tmpfs: { '/var/lib/postgresql': 'rw', '/data': 'rw' } },
  })
  onTestFinished(() => api.removeContainer(container.id))
  return container
}

/** A server that runs, tied to this process, once it has printed a text. */
async function startTied(server: typeof POSTGRES, printed: string): Promise<Tied> {
  const container = await create(server)
  const tied = await tie({ api, id: container.id, hold: HOLD })
  await container.start()
  await expect.poll(() => tied.output.tail(50), { timeout: 20_000 }).toContain(printed)
  return tied
}

async function exists(id: string): Promise<boolean> {
  return dockerode
    .getContainer(id)
    .inspect()
    .then(
      () => true,
      () => false,
    )
}

test.for([
  ['postgres that serves', POSTGRES, 'listening on IPv4 address'],
  ['postgres that is being initialised', POSTGRES, 'selecting default "max_connections"'],
  ['redis', REDIS, 'Ready to accept connections'],
] as const)('ending the lifeline stops %s and removes its container', async ([, server, printed]) => {
  const { lifeline, id, exit } = await startTied({ ...server, Cmd: [...server.Cmd] }, printed)
  lifeline.end()
  expect(await exit.status()).toMatchObject({ running: false, outOfMemory: false })
  await expect.poll(() => exists(id), { timeout: 5_000 }).toBe(false)
})

// These containers have no owner, so no other run on this machine sweeps them.
test.for([
  ['postgres', POSTGRES],
  ['redis', REDIS],
] as const)('%s exits if its input closes without a last message', { timeout: 90_000 }, async ([, server]) => {
  const container = await create({ ...server, Cmd: [...server.Cmd], Env: [...server.Env] })
  const exit = await ContainerExit.watch(api, container.id)
  const input = await container.attach({ hijack: true, stream: true, stdin: true })
  await container.start()
  ;(input as Duplex).destroy()
  await expect.poll(() => exists(container.id), { timeout: 20_000 }).toBe(false)
  // 137 is the code of a server that the engine had to kill.
  expect(await exit.status()).not.toMatchObject({ exitCode: 137 })
})

test('sweep() removes only leftovers of runs on this machine', async () => {
  const own = await ownerLabels()
  const elsewhere = { ...own, 'vitest-infra.owner': '4194304', 'vitest-infra.owner.place': 'another machine' }
  const containers = {
    'of a process that has ended': await create(REDIS, { ...own, 'vitest-infra.owner': '4194304' }),
    'of a process whose id was given again': await create(REDIS, { ...own, 'vitest-infra.owner.started': '1' }),
    'of a process that lives': await create(REDIS, own),
    'of another machine': await create(REDIS, elsewhere),
    'that nobody is said to own': await create(REDIS, { 'vitest-infra.service': 'redis' }),
  }
  await sweep(api)
  const left = await Promise.all(
    Object.entries(containers).map(async ([name, container]) => ((await exists(container.id)) ? [name] : [])),
  )
  expect(left.flat()).toEqual(['of a process that lives', 'of another machine', 'that nobody is said to own'])
})

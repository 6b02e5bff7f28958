import { existsSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import { homedir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { type Engine, findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { ensureImage } from '../../src/providers/docker/image/pull-image.ts'
import { contextFile, contextMeta, createHome } from '../unit/providers/docker/support/temporary-home.ts'

const machine = { platform: process.platform, userId: userInfo().uid }
const engine = await findEngine({ ...machine, environment: process.env, homeDirectory: homedir() })
const facts = { product: engine.product, apiVersion: engine.apiVersion }
const TLS = engine.tlsDirectory ? { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: engine.tlsDirectory } : {}
const socket = engine.host.startsWith('unix://') ? engine.host.slice('unix://'.length) : undefined

test('findEngine() finds the engine that DOCKER_HOST names', async () => {
  const environment = { DOCKER_HOST: engine.host, ...TLS }
  const found = await findEngine({ ...machine, environment, homeDirectory: await createHome() })
  expect(found).toMatchObject({ host: engine.host, source: 'DOCKER_HOST', ...facts })
  expect(Object.isFrozen(found)).toBe(true)
})

test.skipIf(engine.tlsDirectory)('findEngine() finds the engine that the current context names', async () => {
  const homeDirectory = await createHome({
    'elsewhere/config.json': { currentContext: 'lab' },
    [contextFile('meta', 'lab', 'meta.json').replace('.docker', 'elsewhere')]: contextMeta(engine.host),
  })
  const environment = { DOCKER_CONFIG: join(homeDirectory, 'elsewhere') }
  const found = await findEngine({ ...machine, environment, homeDirectory })
  expect(found).toMatchObject({ host: engine.host, source: 'context "lab"', ...facts })
})

test.skipIf(engine.tlsDirectory)('findEngine() skips a tc.host that does not answer', async () => {
  const properties = `tc.host=tcp://127.0.0.1:1\ndocker.host=${engine.host}\n`
  const homeDirectory = await createHome({ '.testcontainers.properties': properties })
  const found = await findEngine({ ...machine, environment: {}, homeDirectory })
  expect(found).toMatchObject({ host: engine.host, source: 'docker.host in ~/.testcontainers.properties' })
})

test.skipIf(existsSync('/var/run/docker.sock') || !socket)('findEngine() finds a default socket', async () => {
  const homeDirectory = await createHome()
  const path = join(homeDirectory, '.docker/run/docker.sock')
  await mkdir(dirname(path), { recursive: true })
  await symlink(socket ?? '', path)
  const found = await findEngine({ ...machine, userId: 4_000_000, environment: {}, homeDirectory })
  expect(found).toMatchObject({ host: `unix://${path}`, source: path, ...facts })
})

test('connectTestcontainers() connects to the engine and leaves the environment unchanged', async () => {
  // Without it Testcontainers would look elsewhere.
  vi.stubEnv('DOCKER_HOST', undefined)
  onTestFinished(() => void vi.unstubAllEnvs())
  const before = { ...process.env }
  const client = await connectTestcontainers(engine, process.env)
  expect(engine.product).toBe(`Docker Engine ${client.info.containerRuntime.serverVersion}`)
  expect(process.env).toEqual(before)
  expect(await connectTestcontainers(engine, process.env)).toBe(client)
})

test.skipIf(!socket)('connectTestcontainers() recognizes the same engine at another socket', async () => {
  const path = join(await createHome(), 'other.sock')
  await symlink(socket ?? '', path)
  const client = await connectTestcontainers(engine, process.env)
  expect(await connectTestcontainers({ ...engine, host: `unix://${path}` }, process.env)).toBe(client)
})

test('connectTestcontainers() refuses a second engine in one process', async () => {
  await connectTestcontainers(engine, process.env)
  const other: Engine = { ...engine, host: 'unix:///nowhere/docker.sock' }
  await expect(connectTestcontainers(other, process.env)).rejects.toMatchObject({
    code: 'INFRA_ENGINE_UNREACHABLE',
    message:
      'Cannot use the container engine at unix:///nowhere/docker.sock: ' +
      `Testcontainers has connected to ${engine.host} in this process\n` +
      'Set DOCKER_HOST=unix:///nowhere/docker.sock for the whole process, so that all of it finds the same engine',
  })
})

test("ensureImage() fails with the engine's own reason", async () => {
  const image = 'localhost:1/vitest-infra/absent:1'
  const { signal } = new AbortController()
  await expect(ensureImage({ api: new EngineApi(engine), image, signal, report: () => {} })).rejects.toMatchObject({
    code: 'INFRA_IMAGE_PULL',
    message: expect.stringMatching(
      /^Cannot pull image "localhost:1\/vitest-infra\/absent:1": .*refused\nCheck the network and the proxy of the engine$/,
    ),
  })
})

import { randomBytes } from 'node:crypto'
import { homedir, userInfo } from 'node:os'
import { finished } from 'node:stream/promises'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { ContainerInstances } from '../../src/providers/docker/container/container-instances.ts'
import { onLines } from '../../src/providers/docker/engine/demultiplex.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { defineRedis } from '../../src/services/redis.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { FaultyEngine } from '../e2e/support/engine-faults.ts'

const { platform, env: environment } = process
const engine = await findEngine({ platform, environment, homeDirectory: homedir(), userId: userInfo().uid })
const { dockerode } = (await connectTestcontainers(engine, environment)).container

let faulty: FaultyEngine
let api: EngineApi

beforeAll(async () => {
  faulty = await FaultyEngine.open()
  api = new EngineApi({ ...engine, host: faulty.host })
  return () => faulty.close()
})

async function startContainer(...words: readonly string[]): Promise<string> {
  const container = await dockerode.createContainer({
    Image: 'redis:8-alpine',
    name: `engine-refuses-${randomBytes(4).toString('hex')}`,
    Cmd: ['sh', '-c', 'echo one; exec tail -f /dev/null', ...words],
    HostConfig: { AutoRemove: true, Tmpfs: { '/data': 'rw,exec,size=4m' } },
  })
  onTestFinished(() => new EngineApi(engine).removeContainer(container.id))
  await container.start()
  return container.id
}

test('a log that the engine refuses is an error, not an empty log', async () => {
  const id = await startContainer()
  const request = { name: 'GET /containers/ID/logs', count: 1 }
  faulty.arm({ ...request, fault: 'refuse' })
  await expect(api.readLog(id, { count: 'all' })).rejects.toThrow('HTTP 500')
  faulty.arm({ ...request, fault: 'cut' })
  await expect(api.readLog(id, { count: 'all' })).rejects.toThrow('socket hang up')
  await expect.poll(() => api.readLog(id, { count: 'all' })).toBe('one\n')
})

test('a followed log fails on a refusal and on a broken connection', async () => {
  const id = await startContainer()
  faulty.arm({ name: 'GET /containers/ID/logs', count: 1, fault: 'refuse' })
  await expect(api.followLog(id)).rejects.toThrow('HTTP 500')
  const log = await api.followLog(id)
  const line = Promise.withResolvers<string>()
  onLines(log, line.resolve)
  expect(await line.promise).toBe('one')
  const ended = finished(log)
  log.socket.destroy()
  await expect(ended).rejects.toThrow('aborted')
})

test('leased servers are available after the engine has refused their supervisor once', async () => {
  const id = await startContainer()
  const { redis } = resolveSpec({}, { root: import.meta.dirname, source: 'the test', environment: { process: {} } })
  if (!redis) {
    throw new Error('Redis is one of the services by default')
  }
  const options = { api, id, folder: '/data', entrypoint: ['docker-entrypoint.sh'] }
  const instances = new ContainerInstances(defineRedis(redis, 1), options)
  onTestFinished(() => instances.close())
  const [server] = instances.servers((port) => ({ host: 'localhost', port }))
  faulty.arm({ name: 'POST /containers/ID/exec', count: 1, fault: 'refuse' })
  await expect(server?.restart()).rejects.toThrow('HTTP 500')
  await server?.restart()
  expect(faulty.struck).toBe(true)
})

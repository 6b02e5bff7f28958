import { homedir, userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { ContainerCheck } from '../../src/providers/docker/container/container-check.ts'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'

const { platform, env: environment } = process
const engine = await findEngine({ platform, environment, homeDirectory: homedir(), userId: userInfo().uid })
const { dockerode } = (await connectTestcontainers(engine, environment)).container
const api = new EngineApi(engine)

async function startRedis() {
  const container = await dockerode.createContainer({
    Image: 'redis:8-alpine',
    HostConfig: { AutoRemove: true, Tmpfs: { '/data': 'rw,size=4m' } },
  })
  onTestFinished(() => api.removeContainer(container.id))
  await container.start()
  return container
}

async function openCheck(command: string, folder = '/data') {
  const container = await startRedis()
  const check = new ContainerCheck({ api, id: container.id, command, folder })
  onTestFinished(() => check.close())
  return { container, check }
}

test('a check passes each time its command exits with 0, and reports the output', async () => {
  const { check } = await openCheck('echo one; echo two >&2; printf three')
  const passed = { passed: true, output: 'one\ntwo\nthree' }
  expect([await check.run(), await check.run()]).toEqual([passed, passed])
})

test('a failed check runs again each time', async () => {
  const { check } = await openCheck(
    'echo x >>/data/asked; [ "$(wc -l </data/asked)" -ge 3 ] || { echo not yet; exit 7; }',
  )
  const failed = { passed: false, output: 'not yet' }
  expect([await check.run(), await check.run(), await check.run()]).toEqual([
    failed,
    failed,
    { passed: true, output: '' },
  ])
})

test('a check runs on demand, not when it is prepared', async () => {
  const { check, container } = await openCheck('cat /data/state')
  await check.freeBytes()
  await api.exec(container.id, { command: ['sh', '-c', 'echo later >/data/state'] })
  await sleep(500)
  expect(await check.run()).toEqual({ passed: true, output: 'later' })
})

test('a command that reads its input gets an empty one', async () => {
  const { check } = await openCheck('cat; exit 3')
  expect(await check.run()).toEqual({ passed: false, output: '' })
})

test('the free space is that of the data folder, or unknown without such a folder', async () => {
  const { check, container } = await openCheck('true')
  expect(await check.freeBytes()).toBeLessThanOrEqual(4 * 1024 * 1024)
  const other = new ContainerCheck({ api, id: container.id, command: 'echo well', folder: '/nowhere' })
  onTestFinished(() => other.close())
  expect(await other.freeBytes()).toBeUndefined()
  expect(await other.run()).toEqual({ passed: true, output: 'well' })
})

test("a removed container fails its check with the engine's reason", async () => {
  const { check, container } = await openCheck('true')
  await check.freeBytes()
  await api.removeContainer(container.id)
  expect(await check.run()).toMatchObject({ passed: false })
  expect(await check.run()).toEqual({ passed: false, output: expect.stringMatching(/^HTTP 404: .*No such container/s) })
})

test('closing the check ends its process in the container', async () => {
  const { check, container } = await openCheck('true')
  await check.freeBytes()
  const programs = async () => JSON.stringify((await container.top()).Processes)
  expect(await programs()).toContain('read -r word')
  check.close()
  await expect.poll(programs, { timeout: 5_000 }).not.toContain('read -r word')
})

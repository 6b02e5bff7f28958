import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'
import { engine } from '../../support/snapshot-runs.ts'
import type { ServiceStatus } from '../../../src/report/render-status.ts'

const PATIENCE = { timeout: 90_000, interval: 100 }
/** A Redis that is well or not, as the test wants it, and is asked often. */
const FLAPPING = `services: ['redis'], startupTimeoutMs: 8000, redis: { healthcheck: { cmd: 'test ! -e /dev/shm/sick', interval: '400ms', timeout: '2s', retries: 20 } }`

async function inContainer(name: string, ...Cmd: string[]): Promise<void> {
  const { dockerode } = await engine()
  await (await dockerode.getContainer(name).exec({ Cmd })).start({})
}

async function statusOf(cli: CliProject): Promise<ServiceStatus & { exitCode: number | null }> {
  const { stdout, exitCode } = await cli.run(['status', '--json'])
  const [status] = JSON.parse(stdout) as [ServiceStatus]
  return { ...status, exitCode }
}

test('status distinguishes stopped, healthy, degraded, unhealthy and recovered services', async () => {
  const cli = await CliProject.create(FLAPPING)
  expect(await statusOf(cli)).toEqual({
    service: 'redis',
    state: 'stopped',
    image: 'redis:8-alpine',
    provider: 'docker',
    healthchecks: [],
    exitCode: 1,
  })

  await cli.up()
  const first = await statusOf(cli)
  expect(first).toMatchObject({
    state: 'healthy',
    address: expect.stringMatching(/^localhost:\d+$/) as string,
    since: expect.stringMatching(/^\d{4}-/) as string,
    exitCode: 0,
  })
  const watch = cli.start(['status', '--watch', '--json'])
  let seen = ''
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  // Nothing is said there, unless it ends.
  watch.stderr.on('data', (chunk: Buffer) => (seen += chunk.toString()))

  await expect.poll(() => seen, PATIENCE).toContain('"state":"healthy"')
  // One that the engine has never found well would be unhealthy at once.
  const passed = Array.from({ length: 5 }, () => expect.objectContaining({ passed: true }) as object)
  await expect.poll(() => statusOf(cli), PATIENCE).toMatchObject({ state: 'healthy', healthchecks: passed })
  const container = first.container ?? ''
  await inContainer(container, 'touch', '/dev/shm/sick')
  await expect.poll(() => statusOf(cli), PATIENCE).toMatchObject({ state: 'degraded', exitCode: 1 })
  await expect.poll(() => statusOf(cli), PATIENCE).toMatchObject({ state: 'unhealthy', exitCode: 1 })
  // It looks twice a second, and would not have seen it.
  await expect.poll(() => seen, PATIENCE).toContain('"state":"unhealthy"')
  await inContainer(container, 'rm', '/dev/shm/sick')
  await expect.poll(() => statusOf(cli), PATIENCE).toMatchObject({ state: 'healthy', exitCode: 0 })
  const order = /"state":"healthy"[^]*"state":"degraded"[^]*"state":"unhealthy"[^]*"state":"healthy"/
  await expect.poll(() => seen, PATIENCE).toMatch(order)
  watch.kill()
})

test('status --watch on a pipe ends with its reader and prints no colours', async () => {
  const cli = await CliProject.create("services: ['redis']")
  const watch = cli.start(['status', '--watch'])
  const ended = new Promise((resolve) => watch.on('exit', (...end) => resolve(end)))
  let seen = ''
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  await expect.poll(() => seen, PATIENCE).toMatch(/^SERVICE .*\nredis +stopped /)
  expect(seen).not.toContain('\u001b')
  watch.stdout.destroy()
  await cli.up()
  expect(await ended).toEqual([0, null])
})

test.skipIf(process.platform === 'win32')('a terminal gets colours unless NO_COLOR is set', async () => {
  const cli = await CliProject.create("services: ['redis']")
  const coloured = await cli.runInTerminal(['status'])
  expect(coloured.stdout).toContain('\u001b[2mstopped')
  expect(coloured.exitCode).toBe(1)
  const plain = await cli.runInTerminal(['status'], { env: { NO_COLOR: '1' } })
  expect(plain.stdout).toMatch(/redis +stopped/)
  expect(plain.stdout).not.toContain('\u001b[2m')
})

test('a paused service is unhealthy', async () => {
  const cli = await CliProject.create("services: ['redis']")
  await cli.up()
  const { container = '' } = await statusOf(cli)
  const { dockerode } = await engine()
  await dockerode.getContainer(container).pause()
  expect(await statusOf(cli)).toMatchObject({ state: 'unhealthy', exitCode: 1 })
})

test('wait returns when "up" is done, or fails at its timeout', async () => {
  const cli = await CliProject.create("services: ['redis']")
  const inVain = await cli.run(['wait', '--timeout', '10ms'])
  expect(inVain).toMatchObject({ exitCode: 1, stdout: '' })
  expect(inVain.stderr).toMatch(/^Cannot continue: after 10ms redis is stopped\n/)
  const waiting = cli.run(['wait'])
  await cli.up()
  expect(await waiting).toEqual({ exitCode: 0, stdout: 'redis healthy\n', stderr: '' })
})

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

test('doctor finds everything tests need', async () => {
  const cli = await CliProject.create()
  const { exitCode, stdout, stderr } = await cli.run(['doctor'])
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^✓ node +Node \d+\.\d+\.\d+, vitest-infra \d/m)
  expect(stdout).toMatch(/^✓ disk +[\d.]+ GiB free in /m)
  expect(stdout).toMatch(/^✓ configuration +\/.*: postgres, redis, provider auto$/m)
  expect(stdout).toMatch(/^✓ engine +\S.* at \S+ \(\S.*\)$/m)
  expect(stdout).toMatch(/^✓ image +postgres:18-alpine$/m)
})

test('doctor explains how to fix a missing image and an engine that does not answer', async () => {
  const cli = await CliProject.create("provider: 'docker', redis: { image: 'redis:no-such-tag' }")
  expect((await cli.run(['doctor'])).stdout).toMatch(/^✓ image +redis:no-such-tag is not pulled yet/m)
  const silent = await cli.run(['doctor'], { env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' } })
  expect(silent.exitCode).toBe(1)
  expect(silent.stdout).toMatch(/^✗ engine +Cannot .*\/nowhere\/docker\.sock[^]*\n +→ \S/m)
  expect(silent.stdout).not.toMatch(/^✗ engine.*tests run without it/m)
})

test('doctor reports an invalid configuration', async () => {
  const cli = await CliProject.create('no: such')
  await cli.project.write('infra.config.mjs', "export default { servces: ['redis'] }")
  const { exitCode, stdout, stderr } = await cli.run(['doctor'])
  expect([exitCode, stderr]).toEqual([1, ''])
  expect(stdout).toMatch(/^✗ configuration +.*servces[^]*→ \S/m)
})

test('doctor distinguishes a port taken by others from a port of the stack itself', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cli = await CliProject.create(`services: ['redis'], redis: { port: ${port} }`)
  const taken = await cli.run(['doctor'])
  expect(taken.exitCode).toBe(1)
  expect(taken.stdout).toMatch(
    new RegExp(`^✗ port +Cannot publish service "redis" on 127.0.0.1:${port}: .*\\n +→ `, 'm'),
  )

  server.close()
  await once(server, 'close')
  expect((await cli.run(['doctor'])).stdout).toMatch(new RegExp(`^✓ port +${port} is free for redis$`, 'm'))
  await cli.up()
  const held = await cli.run(['doctor'])
  expect(held.stdout).toMatch(new RegExp(`^✓ port +${port} is used by vitest-infra-\\w+-redis, which is running$`, 'm'))
  expect(held.exitCode).toBe(0)
})

import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

const OPTIONS = `services: {
  postgres: false,
  redis: false,
  cache: {
    image: 'redis:8-alpine',
    port: 7000,
    command: ['redis-server', '--port', '7000'],
    healthcheck: { cmd: 'redis-cli -p 7000 ping | grep PONG' },
    env: ({ port }) => ({ CACHE_URL: 'redis://localhost:' + port }),
  },
}`

test('every command knows a custom service', async () => {
  const cli = await CliProject.create(OPTIONS)
  const up = await cli.run(['up', '--ttl', '1m'])
  expect(up).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^cache on localhost:\d+\nRun tests with/) as string,
  })
  const port = /localhost:(\d+)/.exec(up.stdout)?.[1] ?? ''

  const status = await cli.run(['status', '--json'])
  expect(JSON.parse(status.stdout)).toEqual([
    expect.objectContaining({
      service: 'cache',
      state: 'healthy',
      address: `localhost:${port}`,
      image: 'redis:8-alpine',
    }),
  ])
  expect(await cli.run(['wait'])).toMatchObject({ exitCode: 0 })
  expect(await cli.run(['env'])).toMatchObject({
    exitCode: 0,
    stdout: `CACHE_HOST=localhost\nCACHE_PORT=${port}\nCACHE_URL=redis://localhost:${port}\n`,
  })
  expect((await cli.run(['logs', 'cache'])).stdout).toMatch(/ready to accept connections/i)
  expect((await cli.run(['doctor'])).stdout).toContain('redis:8-alpine')
  // A running stack is used, not started again.
  const program = ['run', '--', process.execPath, '-p', 'process.env.CACHE_PORT']
  expect(await cli.run(program)).toMatchObject({ exitCode: 0, stdout: `${port}\n` })
  expect(await cli.run(['down'])).toMatchObject({ exitCode: 0 })
  expect(await cli.run(['status'])).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('stopped') as string })
})

test('compose includes it in both profiles', async () => {
  const cli = await CliProject.create(OPTIONS)
  const { stdout } = await cli.run(['compose'])
  expect(stdout).toMatch(/^ {2}cache:\n {4}image: redis:8-alpine\n/m)
  expect(stdout).toMatch(/^ {2}cache-test:\n {4}profiles:\n {6}- test\n/m)
})

import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'
import { PASSWORD, startSomebodysServers } from '../../support/somebodys-servers.ts'

const NONE_OF_THESE = ['up', 'env', 'logs', 'psql', 'redis-cli'] as const

test('status and wait query external servers and omit what they cannot know', async ({ onTestFinished }) => {
  const servers = await startSomebodysServers()
  onTestFinished(() => servers.stop())
  const { postgres, redis, external } = servers
  const cli = await CliProject.create(`provider: 'external', external: ${JSON.stringify(external)}`)
  const status = await cli.run(['status', '--json'])
  const check = (version: RegExp) => ({
    at: expect.stringMatching(/^\d{4}-/) as string,
    passed: true,
    output: expect.stringMatching(version) as string,
  })
  expect(JSON.parse(status.stdout)).toEqual([
    {
      service: 'postgres',
      state: 'healthy',
      address: `${postgres.host}:${postgres.port}`,
      provider: 'external',
      healthchecks: [check(/^18\./)],
    },
    {
      service: 'redis',
      state: 'healthy',
      address: `${redis.host}:${redis.port}`,
      provider: 'external',
      healthchecks: [check(/^\d+\./)],
    },
  ])
  expect(await cli.run(['wait'])).toMatchObject({ exitCode: 0, stdout: 'postgres, redis healthy\n' })
  expect((await cli.run(['status'])).stdout).toMatch(/^postgres +healthy +- +\S+:\d+ +external +- +✓$/m)

  await servers.stop()
  const gone = await cli.run(['status', '--json'])
  expect(gone.exitCode).toBe(1)
  expect(JSON.parse(gone.stdout)).toMatchObject([{ state: 'unhealthy' }, { state: 'unhealthy' }])
  expect(status.stdout + gone.stdout + gone.stderr).not.toContain(PASSWORD)
  expect(await cli.run(['wait', '--timeout', '1s'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('postgres is unhealthy, redis is unhealthy') as string,
  })
})

test.for(NONE_OF_THESE)('%s says that only the provider docker leaves a stack up', async (command) => {
  const options = {
    external: ", external: { postgres: 'postgres://a@localhost', redis: 'redis://localhost' }",
    embedded: '',
  }
  for (const [provider, rest] of Object.entries(options)) {
    const cli = await CliProject.create(`provider: '${provider}'${rest}`)
    const { exitCode, stdout, stderr } = await cli.run([command])
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^Cannot .*with the provider "${provider}": .*\\n.+\\n$`))
  }
})

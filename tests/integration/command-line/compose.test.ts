import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

const run = promisify(execFile)

test('compose prints, writes and checks the file that the options describe', async () => {
  const cli = await CliProject.create("services: ['redis'], labels: { team: 'shop' }")
  const path = join(cli.project.root, 'compose.yaml')
  const missing = await cli.run(['compose', '--check'])
  expect(missing).toMatchObject({ exitCode: 1, stdout: '' })
  expect(missing.stderr).toMatch(/^Cannot accept compose.yaml:1: /)

  const printed = await cli.run(['compose'])
  expect(await cli.run(['compose', '--write'])).toEqual({ exitCode: 0, stdout: `${path} written\n`, stderr: '' })
  const text = await readFile(path, 'utf8')
  expect(printed).toEqual({ exitCode: 0, stdout: text, stderr: '' })
  expect(await cli.run(['compose', '--check'])).toMatchObject({ exitCode: 0 })

  await writeFile(path, text.replace('team: shop', 'team: books'))
  const differs = await cli.run(['compose', '--check'])
  expect(differs).toMatchObject({ exitCode: 1, stdout: '' })
  expect(differs.stderr).toMatch(/it has " +team: books" instead of " +team: shop"\n.*vitest-infra compose --write/)
})

test(
  'the profile "test" starts healthy, in memory, separate from the manual services',
  { timeout: 120_000 },
  async () => {
    const cli = await CliProject.create("services: ['postgres', 'redis'], labels: { team: 'shop' }")
    await cli.run(['compose', '--write'])
    const project = `vitest-infra-profile-${process.pid}`
    // Without the variables of this file's lease, which compose would use.
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], DOCKER_HOST: process.env['DOCKER_HOST'] }
    const docker = async (...args: string[]) => {
      const { DOCKER_CONFIG, DOCKER_CONTEXT } = process.env
      const settings = { ...env, DOCKER_CONFIG, DOCKER_CONTEXT, POSTGRES_PORT: '0', REDIS_PORT: '0' }
      return (await run('docker', args, { cwd: cli.project.root, env: settings })).stdout
    }
    const compose = (...args: string[]) => docker('compose', '--project-name', project, '--profile', 'test', ...args)
    onTestFinished(async () => void (await compose('down', '--volumes', '--timeout', '0')))
    await compose('up', '--detach', '--wait')

    const health = await compose('ps', '--format', '{{.Service}} {{.Health}}')
    expect(health.trim().split('\n').toSorted()).toEqual([
      'postgres healthy',
      'postgres-test healthy',
      'redis healthy',
      'redis-test healthy',
    ])
    expect(await compose('port', 'postgres-test', '5432')).toMatch(/^127\.0\.0\.1:\d+\n$/)
    expect(await compose('exec', '-T', 'postgres-test', 'df', '/var/lib/postgresql')).toContain('tmpfs')

    const redis = (service: string, ...args: string[]) => compose('exec', '-T', service, 'redis-cli', ...args)
    await redis('redis-test', '-h', 'redis', 'SET', 'who', 'the test')
    expect(await redis('redis-test', 'GET', 'who')).toBe('the test\n')
    expect(await redis('redis', 'GET', 'who')).toBe('\n')
    await expect(redis('redis', '-h', 'redis-test', 'PING')).rejects.toThrow(/could not connect/i)

    const labels = ['--filter', `label=com.docker.compose.project=${project}`]
    expect(await docker('ps', ...labels, '--filter', 'label=team=shop', '--quiet')).toMatch(/^(?:\w+\n){4}$/)
    expect(await docker('volume', 'ls', '--quiet', ...labels)).toBe(`${project}_postgres_data\n`)
  },
)

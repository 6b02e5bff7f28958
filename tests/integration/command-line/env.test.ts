import { execFile } from 'node:child_process'
import { parseEnv, promisify } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

const PASSWORD = `it's "quoted" $HOME \\ and #1`

test('env prints the addresses of the stack that "up" started, in each format', async () => {
  const cli = await CliProject.create(
    `env: ({ postgres }) => ({ MAJOR: postgres.version.split('.')[0] }), postgres: { password: ${JSON.stringify(PASSWORD)} }`,
  )
  const none = await cli.run(['env'])
  expect(none).toMatchObject({ exitCode: 1, stdout: '' })
  expect(none.stderr).toBe(
    'Cannot find service "postgres" of this project: it is not running\nStart the stack: vitest-infra up\n',
  )

  await cli.up()
  const variables = JSON.parse((await cli.run(['env', '--format', 'json'])).stdout) as Record<string, string>
  expect(variables).toMatchObject({ MAJOR: '18', DB_HOST: 'localhost', DB_PASSWORD: PASSWORD, PGPASSWORD: PASSWORD })
  expect(parseEnv((await cli.run(['env', '--format', 'dotenv'])).stdout)).toEqual(variables)
  const shell = (await cli.run(['env', '--format', 'shell'])).stdout
  const { stdout } = await promisify(execFile)('sh', ['-c', `${shell}\nprintf '%s' "$DB_PASSWORD"`], { env: {} })
  expect(stdout).toBe(PASSWORD)

  const client = new pg.Client(variables['DATABASE_URL'])
  await client.connect()
  await client.query('SELECT 1')
  await client.end()
  const redis = new Redis(variables['REDIS_URL'] ?? '')
  expect(await redis.ping()).toBe('PONG')
  redis.disconnect()
})

test('env ignores a stack that does not match the options', async () => {
  const cli = await CliProject.create("services: ['postgres']")
  await cli.up()
  await cli.project.write(
    'infra.config.mjs',
    "export default { snapshot: false, services: ['postgres'], postgres: { password: 'another' } }",
  )
  const { exitCode, stdout, stderr } = await cli.run(['env'])
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^Cannot use vitest-infra-\w+-postgres on localhost:\d+: password authentication failed/)
  expect(stderr).toContain('vitest-infra down')
  expect(stderr).not.toContain('another')
})

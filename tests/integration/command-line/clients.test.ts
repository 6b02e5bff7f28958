import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

const PATIENCE = { timeout: 90_000, interval: 50 }
const PASSWORD = 'a-secret-of-the-test'
const UP = `postgres: { user: 'clerk', password: '${PASSWORD}', database: 'shop', settings: { log_statement: 'all' } }`

test("psql and redis-cli run in the servers' containers, with their own exit codes", async () => {
  const cli = await CliProject.create(UP)
  expect(await cli.run(['psql', '-c', 'SELECT 1'])).toMatchObject({ exitCode: 1, stdout: '' })
  await cli.up()

  const who = await cli.run(['psql', '-At', '-c', "SELECT current_user || '@' || current_database()"])
  expect(who).toEqual({ exitCode: 0, stdout: 'clerk@shop\n', stderr: '' })
  const input = await cli.run(['psql', '-At'], { input: 'SELECT 40 + 2;\nSELECT generate_series(1, 20000);' })
  expect(input.stdout.split('\n')).toEqual(['42', ...Array.from({ length: 20_000 }, (_, index) => `${index + 1}`), ''])
  const unread = await cli.run(['psql', '-At', '-c', 'SELECT 1'], { input: 'x'.repeat(4_000_000) })
  expect(unread).toEqual({ exitCode: 0, stdout: '1\n', stderr: '' })
  const wrong = await cli.run(['psql', '-v', 'ON_ERROR_STOP=1'], { input: 'SELEC 1;' })
  expect(wrong).toMatchObject({ exitCode: 3, stdout: '' })
  expect(wrong.stderr).toContain('syntax error')

  expect(await cli.run(['redis-cli', 'SET', 'greeting', "it's"])).toMatchObject({ exitCode: 0, stdout: 'OK\n' })
  expect(await cli.run(['redis-cli'], { input: 'GET greeting\n' })).toMatchObject({ exitCode: 0, stdout: "it's\n" })
  expect(await cli.run(['redis-cli', '-e', 'NONSENSE'])).toMatchObject({ exitCode: 1 })

  const processes = await cli.run(['psql', '-At', '-c', String.raw`\! cat /proc/[0-9]*/cmdline | tr '\0' ' '`])
  expect(processes.stdout).toContain('psql -At -c')
  expect(processes.stdout).not.toContain(PASSWORD)
})

test.skipIf(process.platform === 'win32')('psql in a terminal is interactive', async () => {
  const cli = await CliProject.create(UP)
  await cli.up()
  const { exitCode, stdout } = await cli.runInTerminal(['psql', '--no-psqlrc'], {
    input: 'SELECT 40 + 2 AS answer;\n\\q\n',
  })
  expect(stdout).toMatch(/shop=[#>] /)
  expect(stdout).toMatch(/answer[^]*42/)
  expect(exitCode).toBe(0)
})

test('logs shows past and new lines with their service, without passwords', async () => {
  const cli = await CliProject.create(UP)
  await cli.up()
  const all = await cli.run(['logs'])
  expect(all.exitCode).toBe(0)
  expect(all.stdout).toMatch(/^postgres \| .*database system is ready to accept connections$/m)
  expect(all.stdout).toMatch(/^redis {4}\| .*Ready to accept connections/m)

  const follow = cli.start(['logs', 'postgres', '--follow'])
  let seen = ''
  follow.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  await cli.run(['psql', '-c', `ALTER ROLE clerk PASSWORD '${PASSWORD}'`])
  await cli.run(['psql', '-c', "SELECT 'the last one'"])
  await expect.poll(() => seen, PATIENCE).toContain('the last one')
  expect(seen).toContain('ALTER ROLE clerk PASSWORD')
  expect(seen).not.toContain(PASSWORD)
  expect(seen).not.toContain('postgres | ')
  const ended = new Promise((resolve) => follow.on('exit', resolve))
  await cli.run(['down'])
  expect(await ended).toBe(0)

  const unknown = await cli.run(['logs', 'mysql'])
  expect(unknown).toMatchObject({ exitCode: 1, stdout: '' })
  expect(unknown.stderr).toMatch(/^Cannot find service "mysql": this project has postgres, redis\n/)
})

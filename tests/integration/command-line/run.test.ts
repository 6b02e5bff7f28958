import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { CliProject } from '../../support/cli-project.ts'

const PATIENCE = { timeout: 90_000, interval: 50 }
const PG = fileURLToPath(import.meta.resolve('pg'))
const FILES = {
  'fixtures/postgres/migrations/1.sql': "CREATE TABLE visits (page text); INSERT INTO visits VALUES ('/home')",
  'ask.mjs': `
    import pg from ${JSON.stringify(PG)}
    const client = new pg.Client(process.env.DATABASE_URL)
    await client.connect()
    const { rows } = await client.query('SELECT page FROM visits')
    await client.end()
    console.log(rows[0].page, process.env.REDIS_URL.split(':')[0], process.argv[2])
    process.exitCode = 3
  `,
}
const ANSWER = "/home redis it's $HOME\n"
const POSTGRES_ONLY = "services: ['postgres']"
const REDIS_ONLY = "services: ['redis']"

test('run starts a stack for a program, exits with its code and stops the stack', async () => {
  const cli = await CliProject.create('', FILES)
  const { exitCode, stdout, stderr } = await cli.run(['run', '--', 'node', 'ask.mjs', "it's $HOME"])
  expect([stdout, exitCode]).toEqual([ANSWER, 3])
  expect(stderr).toContain('infra  postgres 18')
  await expect.poll(() => cli.project.containers(), PATIENCE).toEqual([])
})

test('run uses a running stack and leaves it up', async () => {
  const cli = await CliProject.create('', FILES)
  await cli.up()
  const before = await cli.project.containers()
  const { exitCode, stdout, stderr } = await cli.run(['run', 'node', 'ask.mjs', "it's $HOME"])
  expect([stdout, exitCode]).toEqual([ANSWER, 3])
  expect(stderr).toContain('still running from an earlier run')
  expect(await cli.project.containers()).toEqual(before)
})

// The shell's variables of another server: libpq would prefer both to PGHOST.
test('run points libpq to the stack, whatever the shell sets', async () => {
  const cli = await CliProject.create(POSTGRES_ONLY)
  await cli.up()
  const shell = { PGHOST: 'prod.test', PGDATABASE: 'shop', PGHOSTADDR: '192.0.2.1', PGSERVICE: 'prod' }
  const script =
    'console.log(Object.keys(process.env).filter((name) => /^PG/.test(name)).toSorted().join(), process.env.PGDATABASE)'
  const { stdout } = await cli.run(['run', '--', 'node', '--eval', script], { env: shell })
  expect(stdout).toBe('PGDATABASE,PGHOST,PGPASSWORD,PGPORT,PGUSER app\n')
})

test('run passes its input on and reports the signal that ended the program', async () => {
  const cli = await CliProject.create(REDIS_ONLY)
  await cli.up()
  expect(await cli.run(['run', '--', 'cat'], { input: 'hello' })).toMatchObject({ exitCode: 0, stdout: 'hello' })
  expect(await cli.run(['run', '--', 'sh', '-c', 'kill -KILL $$'])).toMatchObject({ exitCode: 137 })
})

test('a missing program is reported in one line, and nothing is left', async () => {
  const cli = await CliProject.create(REDIS_ONLY)
  const { exitCode, stdout, stderr } = await cli.run(['run', '--', 'no-such-program'])
  expect([exitCode, stdout]).toEqual([127, ''])
  expect(stderr).toContain('Cannot run no-such-program: spawn no-such-program ENOENT\n')
  expect(stderr).not.toMatch(/^ {4}at /m)
  await expect.poll(() => cli.project.containers(), PATIENCE).toEqual([])
})

const SIGNALLED = `
  const seen = []
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { seen.push(signal); console.log('got', signal) })
  process.stdin.on('data', () => { console.log('seen', seen.join()); process.exit(7) })
  console.log('ready', process.env.REDIS_PORT)
`

test.for(['SIGTERM', 'SIGINT'] as const)('%s reaches the program, which decides when it exits', async (signal) => {
  const cli = await CliProject.create(REDIS_ONLY, { 'program.cjs': SIGNALLED })
  const child = cli.start(['run', '--', 'node', 'program.cjs'])
  let seen = ''
  child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  const ended = once(child, 'exit')
  await expect.poll(() => seen, PATIENCE).toMatch(/ready \d+/)
  child.kill(signal)
  await expect.poll(() => seen, PATIENCE).toContain(`got ${signal}`)
  child.stdin.write('\n')
  expect(await ended).toEqual([7, null])
  await expect.poll(() => cli.project.containers(), PATIENCE).toEqual([])
})

test.skipIf(process.platform === 'win32')('Ctrl-C in a terminal reaches the program once', async () => {
  const cli = await CliProject.create(REDIS_ONLY, { 'program.cjs': SIGNALLED })
  const child = cli.startInTerminal(['run', '--', 'node', 'program.cjs'])
  let seen = ''
  child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  const ended = once(child, 'exit')
  await expect.poll(() => seen, PATIENCE).toMatch(/ready \d+/)
  child.stdin.write('\u0003')
  await expect.poll(() => seen, PATIENCE).toContain('got SIGINT')
  child.stdin.write('\n')
  expect(await ended).toEqual([7, null])
  expect(seen).toMatch(/seen SIGINT\r?\n/)
  await expect.poll(() => cli.project.containers(), PATIENCE).toEqual([])
})

test('a signal while the stack is starting leaves nothing', async () => {
  const cli = await CliProject.create(POSTGRES_ONLY)
  const child = cli.start(['run', '--', 'echo', 'started'])
  const ended = once(child, 'exit')
  await expect.poll(() => cli.project.containers(), PATIENCE).not.toEqual([])
  child.kill('SIGTERM')
  expect(await ended).toEqual([143, null])
  await expect.poll(() => cli.project.containers(), PATIENCE).toEqual([])
})

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import { containersOf, engine, removeContainersOf } from './support/containers.ts'
import { plain } from './support/plain.ts'
import { cleanEnvironment, type RunOptions, startVitest, type VitestRun } from './support/run-vitest.ts'

const consumer = inject('consumer')

const KEEP = { VITEST_INFRA_KEEP_ALIVE: '1m' }
const STAYING =
  'infra  the servers keep running for the next run, and stop after 1m without use; to stop them now: npx vitest-infra down'
const PATIENCE = { timeout: 90_000, interval: 100 }

/** A run whose containers are removed after the test. */
async function start(project: string, options: RunOptions): Promise<VitestRun> {
  const run = await startVitest(project, options)
  // Containers may exit during the removal.
  onTestFinished(() => removeContainersOf(run.project).catch(() => {}))
  return run
}

/** The command line as a user of the package runs it, in the folder of a run. */
async function runCli({ folder }: VitestRun, args: readonly string[]) {
  const cli = join(consumer.folder, 'node_modules/vitest-infra/dist/cli.js')
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number; stdout: string; stderr: string }>()
  execFile(process.execPath, [cli, ...args], { cwd: folder, env: cleanEnvironment() }, (error, stdout, stderr) => {
    const places = { folder, consumer: consumer.folder }
    resolve({ exitCode: Number(error?.code ?? 0), stdout: plain(stdout, places), stderr: plain(stderr, places) })
  })
  return promise
}

test.for(['plain', 'isolation-modes', 'isolation-servers'])(
  'the second run of %s reuses the servers of the first',
  async (project) => {
    const first = await start(project, { consumer, env: KEEP })
    const { created, stdout, exitCode } = await first.ended
    expect(exitCode).toBe(0)
    expect(created).not.toEqual([])
    // The runs follow each other directly, so the first one's servers may still be stopping.
    for (const run of [2, 3]) {
      const next = await start(project, { consumer, env: KEEP, after: first })
      const ended = await next.ended
      expect(ended, `run ${run}`).toMatchObject({ exitCode: 0, created: [] })
      expect(ended.stderr.match(/^infra {2}the servers keep running .*$/gm)).toEqual([STAYING])
      const tests = (text: string) => / Tests .*/.exec(text)?.[0]
      expect(tests(next.stdout)).toBe(tests(stdout))
    }
  },
)

test("a failed test's database is retained while the servers are up", async () => {
  const files = {
    'test/failing.test.ts': "import { test } from 'vitest'\ntest('it', () => { throw new Error('no') })",
  }
  const run = await start('plain', { consumer, env: KEEP, files, args: ['run', 'failing'] })
  const { exitCode, stderr } = await run.ended
  expect(exitCode).toBe(1)
  expect(stderr).toContain(
    'the database of test/failing.test.ts stays until the tests run again: docker exec -it vitest-infra-<run>-postgres psql --username postgres <leased database>',
  )
})

test('kill -9 of a run leaves reusable servers up for a later run', async () => {
  const first = await start('endings', { consumer, env: KEEP })
  expect(await first.ended).toMatchObject({ exitCode: 0, created: ['redis'] })
  const killed = await start('endings', { consumer, env: { ...KEEP, HOLD: 'test' }, after: first })
  await killed.said('holding in test')
  const before = (await containersOf(first.project)).map(({ Id }) => Id)
  killed.signal('SIGKILL')
  expect(await killed.ended).toMatchObject({ signal: 'SIGKILL', created: [] })
  await killed.forgetFiles()
  await Promise.all(before.map(async (id) => await expect.poll(() => claimOf(id), PATIENCE).toBe('')))
  const next = await start('endings', { consumer, env: KEEP, after: first })
  expect(await next.ended).toMatchObject({ exitCode: 0, created: [] })
  expect((await containersOf(first.project)).map(({ Id }) => Id)).toEqual(before)
})

test('tests use the stack that "up" started, until "down"', async () => {
  const first = await start('plain', { consumer })
  await first.ended
  const up = await runCli(first, ['up', '--ttl', '5m'])
  expect(up).toMatchObject({ exitCode: 0 })
  expect(up.stdout).toMatchInlineSnapshot(`
    "postgres <version> on localhost:<port>: docker exec -it vitest-infra-<run>-postgres psql --username postgres app
    redis <version> on localhost:<port>: docker exec -it vitest-infra-<run>-redis redis-cli
    Run tests with: npx vitest. The servers stop 5m after their last use; to stop them now: vitest-infra down"
  `)
  const run = await start('plain', { consumer, after: first })
  expect(await run.ended).toMatchObject({ exitCode: 0, created: [] })
  expect(await runCli(first, ['up'])).toMatchObject({ exitCode: 0 })
  expect(await containersOf(first.project)).toHaveLength(2)
  expect(await runCli(first, ['down'])).toEqual({ exitCode: 0, stdout: '2 servers ended', stderr: '' })
  await expect.poll(() => containersOf(first.project), PATIENCE).toEqual([])
  expect(await runCli(first, ['down'])).toMatchObject({ exitCode: 0, stdout: '0 servers ended' })
})

test('"down" stops nothing of other projects', async () => {
  const [one, other] = [await start('plain', { consumer, env: KEEP }), await start('plain', { consumer, env: KEEP })]
  await Promise.all([one.ended, other.ended])
  expect(await runCli(one, ['down'])).toMatchObject({ exitCode: 0, stdout: '2 servers ended' })
  expect(await containersOf(other.project)).toHaveLength(2)
})

test('"up" reports what is wrong with the command line', async () => {
  const run = await start('plain', { consumer })
  await run.ended
  const { exitCode, stderr } = await runCli(run, ['up', '--ttl', 'soon'])
  expect(exitCode).toBe(2)
  expect(stderr).toContain('Cannot read --ttl: "soon" is not a duration')
  expect(await runCli(run, ['down', '--ttl', '5m'])).toMatchObject({ exitCode: 2 })
})

/** The run that has a server; empty if none has. */
async function claimOf(id: string): Promise<string> {
  const docker = await engine()
  const exec = await docker
    .getContainer(id)
    .exec({ Cmd: ['readlink', '/dev/shm/vitest-infra-claim'], AttachStdout: true })
  const stream = await exec.start({})
  let text = ''
  stream.on('data', (data: Buffer) => (text += data.subarray(8).toString()))
  await new Promise((resolve) => stream.on('end', resolve))
  return text.trim()
}

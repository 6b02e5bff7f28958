import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { removeContainersOf } from './support/containers.ts'
import { EngineProxy } from './support/engine-proxy.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

const testFile = (body: string) => ({
  'test/redis.test.ts': `
    import { expect, test } from 'vitest'
    ${body}`,
})
const globalSetup = (body: string) => ({ 'test/global-setup.ts': body })

const FAILURES = [
  ['a failing test', [], testFile("test('fails', () => expect(1).toBe(2))")],
  ['--bail 1', ['--bail=1'], testFile("test('fails', () => expect(1).toBe(2)); test('is left out', () => {})")],
  ['a test that calls process.exit()', [], testFile("test('leaves', () => process.exit(0))")],
  ['a worker that ends itself', ['--pool=forks'], testFile("test('leaves', () => process.reallyExit(3))")],
  ['a worker that is killed', ['--pool=forks'], testFile("test('dies', () => process.kill(process.pid, 'SIGKILL'))")],
  [
    'an uncaught exception in a worker',
    [],
    testFile(
      "setTimeout(() => { throw new Error('late') }); test('waits', () => new Promise((done) => setTimeout(done, 100)))",
    ),
  ],
  ['a test file that cannot be loaded', [], testFile("throw new Error('no tests here')")],
  ['a global setup that throws after ours', [], globalSetup("export default () => { throw new Error('no') }")],
  [
    'an unhandled rejection in the main process',
    [],
    globalSetup("export default () => { Promise.reject(new Error('lost')) }"),
  ],
  [
    'an uncaught exception in the main process',
    [],
    globalSetup("export default () => { setTimeout(() => { throw new Error('late') }, 10) }"),
  ],
  ['a global setup that ends the process', [], globalSetup('export default () => process.exit(1)')],
] as const

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(FAILURES)('%s exits with 1 and leaves nothing', async ([, args, files]) => {
    const run = await runVitest('endings', { consumer, args: ['run', ...args], files })
    expect(run).toMatchObject({ exitCode: 1, created: ['redis'] })
  })

  test("a user's teardown that throws leaves nothing", async () => {
    const files = globalSetup("export default () => () => { throw new Error('no') }")
    const run = await runVitest('endings', { consumer, files })
    expect(run.stderr).toContain('error during close')
    // Vitest 4 reports no error.
    expect(run).toMatchObject({ exitCode: consumer.vitestMajor === 5 ? 1 : 0, created: ['redis'] })
  })

  test.for(['--pool=forks', '--pool=threads', '--no-isolate'])(
    'servers stay up until workers have cleaned up: %s',
    async (arg) => {
      const run = await startVitest('worker-fixtures', { consumer, args: ['run', arg] })
      expect(await run.ended).toMatchObject({ exitCode: 0, created: ['redis'] })
      expect(await readFile(join(run.folder, 'last-words.txt'), 'utf8')).toBe('PONG')
    },
  )

  test('a failed teardown makes the exit code non-zero and reports what is left', async () => {
    const proxy = await EngineProxy.open()
    const run = await startVitest('endings', { consumer, env: { HOLD: 'teardown', DOCKER_HOST: proxy.host } })
    await run.said('holding in teardown')
    await proxy.shut()
    await run.write('go', '')
    const { stdout, stderr, exitCode } = await run.ended
    await removeContainersOf(run.project)
    expect(stdout).toContain('Tests  1 passed (1)')
    expect(stderr).toMatchInlineSnapshot(`
      "infra  Docker Engine <version> at <host> (<source>)
      infra  redis <version> healthy after <time>
      infra  1 lease, waited <time>
      infra  Cannot stop the stack: vitest-infra-<run>-redis: connect ENOENT <proxy>/docker.sock
      Remove what is left with: docker rm -fv vitest-infra-<run>-redis"
    `)
    expect(exitCode).toBe(1)
  })
})

import { describe, expect, inject, test } from 'vitest'
import { errorMessage } from './support/plain.ts'
import { runVitest, startVitest } from './support/run-vitest.ts'

/** Each kind of error that a client, an engine or a user may throw, as the cause of the one before. */
const CHAIN = `
  import { ReplyError } from 'ioredis'
  const below = (cause, error) => Object.defineProperty(error, 'cause', { value: cause })
  const late = await new Promise((done) => {
    const signal = AbortSignal.timeout(1)
    signal.onabort = () => done(signal.reason)
    setTimeout(() => {}, 100)
  })
  const circle = new ReplyError('round')
  below(circle, circle)
  const object = below(circle, { get name() { throw 1 }, get message() { throw 2 }, answer: 42 })
  const all = below(object, new AggregateError([new ReplyError('a'), Symbol('b')]))
  const unnamed = below(all, Object.defineProperty(new Error('here'), 'name', { get() { throw 3 } }))
  const frozen = Object.freeze(below(unnamed, new TypeError('cold')))
  const timedOut = below(frozen, late)
  const aborted = below(timedOut, new DOMException('too slow', 'AbortError'))
  throw below(aborted, new ReplyError('NOPERM no permission'))
`
const CAUSES = [
  'Caused by: ReplyError: NOPERM no permission',
  'Caused by: AbortError: too slow',
  'Caused by: TimeoutError: The operation was aborted due to timeout',
  'Caused by: TypeError: cold',
  'Caused by: Error: here',
  'Caused by: AggregateError: a; Symbol(b)',
  'Caused by: Error: {',
  'Caused by: ReplyError: round',
]

describe.each(inject('consumers'))('$name', (consumer) => {
  /** Vitest 5 prints this at the end of a run without tests; Vitest 4 prints nothing. */
  const summary = consumer.vitestMajor === 5 ? 'Tests  no tests' : ''

  test('the main process prints errors with every kind of cause, and the summary', async () => {
    const run = await startVitest('plain', { consumer, files: { 'infra.config.ts': CHAIN } })
    const { stderr, exitCode } = await run.ended
    expect(errorMessage(stderr)).toMatch(
      /^Cannot load <project>\/infra\.config\.ts.*: NOPERM no permission\nCorrect it/,
    )
    expect(stderr.match(/^Caused by: .{0,60}/gm)?.map((line, index) => line.slice(0, CAUSES[index]?.length))).toEqual(
      CAUSES,
    )
    expect(stderr).not.toContain('Cannot set property')
    expect(run.stdout).toContain(summary)
    expect(exitCode).toBe(1)
  })

  test('a Redis seed that fails is printed with its cause', async () => {
    const run = await startVitest('plain', {
      consumer,
      files: { 'infra.config.ts': "export default { services: ['redis'] }", 'fixtures/redis/wrong.redis': 'SET only' },
    })
    const { stderr, exitCode } = await run.ended
    expect(errorMessage(stderr)).toMatch(
      /^Cannot load fixtures\/redis\/wrong\.redis:1: SET: ERR wrong number of arguments/,
    )
    expect(stderr).toContain("Caused by: ReplyError: ERR wrong number of arguments for 'set' command")
    expect(run.stdout).toContain(summary)
    expect(exitCode).toBe(1)
  })

  // The message crosses the socket between main process and worker.
  test('a worker prints an error of the main process in full', async () => {
    // The variables of the main server are set, and those of the lease fail.
    const env = `({ redis }) => {
      main ??= redis.url
      if (redis.url !== main) throw new AggregateError([new ReplyError('NOPERM'), new DOMException('late', 'AbortError')])
      return {}
    }`
    const run = await startVitest('endings', {
      consumer,
      files: {
        'infra.config.ts': `import { ReplyError } from 'ioredis'\nlet main\nexport default { env: ${env} }`,
      },
    })
    const { stderr, exitCode } = await run.ended
    expect(stderr).toContain(
      'InfraError: Cannot set the variables of the env option: NOPERM; late\nLet env return an object of names and text',
    )
    expect(run.stdout).toContain('Test Files  1 failed (1)')
    expect(exitCode).toBe(1)
  })

  test('an uncaught error of a global setup is printed with its own stack only', async () => {
    const own =
      "export default () => { setTimeout(() => { throw new Error('late') }, 10); return new Promise(() => {}) }"
    const run = await runVitest('endings', { consumer, files: { 'test/global-setup.ts': own } })
    expect(run.stderr).toMatch(/^Error: late\n {4}at .*test\/global-setup\.ts/m)
    expect(run.stderr).not.toContain('vitest-infra/dist')
    expect(run.stderr).not.toContain('throw error')
    expect(run).toMatchObject({ exitCode: 1, created: ['redis'] })
  })
})

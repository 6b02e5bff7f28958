import { describe, expect, inject, test } from 'vitest'
import { startVitest } from './support/run-vitest.ts'

const TEST = (round: string) => `
  import { expect, inject, test } from 'vitest'
  const atImport = process.env.REDIS_URL
  test('${round}', () => {
    expect(atImport).toBe(inject('infra').redis.url)
    expect(atImport).toMatch(/^redis:/)
  })`

describe.each(inject('consumers'))('$name', (consumer) => {
  test('a rerun has the environment, from the same stack, and quitting takes it down', async () => {
    const run = await startVitest('inline-plugins', {
      consumer,
      args: ['watch', '--project=one', '--reporter=verbose'],
      terminal: true,
      files: { 'test/server.test.ts': TEST('first round') },
    })
    await run.said('Waiting for file changes')
    expect(run.stdout).toMatch(/✓ .*first round/)

    await run.write('test/server.test.ts', TEST('second round'))
    await run.said('Waiting for file changes', 2)
    expect(run.stdout).toMatch(/✓ .*second round/)

    run.type('q')
    expect(await run.ended).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('Ctrl-C while waiting for changes takes the stack down', async () => {
    const run = await startVitest('endings', { consumer, args: ['watch'], terminal: true })
    await run.said('Waiting for file changes')
    run.type('\x03')
    expect(await run.ended).toMatchObject({ exitCode: 130, created: ['redis'] })
  })

  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s while waiting for changes takes the stack down', async ([signal, exitCode]) => {
    const run = await startVitest('endings', { consumer, args: ['watch'] })
    await run.said('Waiting for file changes')
    run.signal(signal)
    expect(await run.ended).toMatchObject({ exitCode, created: ['redis'] })
  })

  test('Ctrl-C while tests run takes the stack down', async () => {
    const run = await startVitest('endings', { consumer, args: ['watch'], terminal: true, env: { HOLD: 'test' } })
    await run.said('holding in test')
    run.type('\x03')
    await run.write('go', '')
    // Vitest counts a cancelled run as failed.
    expect(await run.ended).toMatchObject({ exitCode: 1, created: ['redis'] })
  })
})

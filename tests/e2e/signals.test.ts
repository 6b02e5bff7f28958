import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, inject, test } from 'vitest'
import { removeContainersOf } from './support/containers.ts'
import { EngineProxy } from './support/engine-proxy.ts'
import { startVitest } from './support/run-vitest.ts'

const EXIT_CODES = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const

/** A stack whose stop is awaited, because the next run needs its port. */
async function pinnedPort(): Promise<Record<string, string>> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return { 'infra.config.ts': `export default { redis: { port: ${port} } }` }
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test('a signal during the teardown does not interrupt it', async () => {
    const proxy = await EngineProxy.open()
    const run = await startVitest('endings', {
      consumer,
      env: { HOLD: 'teardown', DOCKER_HOST: proxy.host },
      files: await pinnedPort(),
    })
    await run.said('holding in teardown')
    proxy.freeze()
    await run.write('go', '')
    await sleep(500)
    run.signal('SIGINT')
    await sleep(200)
    proxy.thaw()
    const { stderr, exitCode } = await run.ended
    expect(stderr.match(/^infra  1 lease, /gm)).toHaveLength(1)
    expect(exitCode).toBe(130)
  })

  test('a third signal exits at once', async () => {
    const proxy = await EngineProxy.open()
    const run = await startVitest('endings', {
      consumer,
      env: { HOLD: 'test', DOCKER_HOST: proxy.host },
      files: await pinnedPort(),
    })
    await run.said('holding in test')
    proxy.freeze()
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) {
      run.signal(signal)
      await sleep(200)
    }
    // The engine answers nothing, so only work that does not wait for it completes.
    expect(await run.ended).toMatchObject({ exitCode: 143 })
    await removeContainersOf(run.project)
  })

  test('a second signal right after the first does not interrupt the cleanup', async () => {
    const run = await startVitest('endings', { consumer, env: { HOLD: 'test' } })
    await run.said('holding in test')
    run.signal('SIGINT')
    run.signal('SIGINT')
    expect(await run.ended).toMatchObject({ exitCode: 130 })
  })

  test('Ctrl-C in a terminal stops the run', async () => {
    const run = await startVitest('endings', { consumer, env: { HOLD: 'test' }, terminal: true })
    await run.said('holding in test')
    run.type('\x03')
    expect(await run.ended).toMatchObject({ exitCode: 130 })
  })

  test('Ctrl-C in a terminal stops the run while servers start', async () => {
    const run = await startVitest('plain', { consumer, terminal: true })
    await run.said('Docker Engine')
    run.type('\x03')
    expect(await run.ended).toMatchObject({ exitCode: 130 })
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('a run stops and leaves nothing if its output pipe closes', async () => {
    const run = await startVitest('endings', { consumer, env: { HOLD: 'test' } })
    await run.said('holding in test')
    run.closeOutput()
    await run.write('go', '')
    expect(await run.ended).toMatchObject({ exitCode: 1 })
  })

  describe.each(EXIT_CODES)('%s', (signal, exitCode) => {
    test('stops the run while servers start', async () => {
      const run = await startVitest('plain', { consumer })
      await run.said('Docker Engine')
      run.signal(signal)
      const { stdout, ...ended } = await run.ended
      expect(ended).toMatchObject({ exitCode })
      expect(stdout).not.toContain('✓')
    })

    test.each(['setup', 'test', 'teardown'])("stops the run in the user's %s", async (stage) => {
      const run = await startVitest('endings', { consumer, env: { HOLD: stage } })
      await run.said(`holding in ${stage}`)
      run.signal(signal)
      expect(await run.ended).toMatchObject({ exitCode, created: ['redis'] })
    })
  })
})

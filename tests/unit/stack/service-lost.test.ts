import { expect, test } from 'vitest'
import type { ServerEnding, StartedService } from '../../../src/providers/provider.ts'
import { describeLoss } from '../../../src/stack/service-lost.ts'
import { Stack } from '../../../src/stack/stack.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { createDefinition, createProvider, createStartedService } from '../support/fake-provider.ts'

const KILLED: ServerEnding = { running: false, exitCode: 137, outOfMemory: false }

async function problemOf(ending: Partial<ServerEnding>): Promise<string> {
  const loss = { name: 'redis', ending: { ...KILLED, ...ending }, afterMs: 1_234 }
  return (await describeLoss(createStartedService(), loss)).error.message
}

/** A stack of one Redis. */
function createStack(started: StartedService): Stack {
  const options = { definitions: [createDefinition('redis')], startupTimeoutMs: 1_000, report: () => {} }
  return new Stack({ ...options, provider: createProvider(async () => started), clock: new FakeClock() })
}

test('describeLoss() says which server, how it ended, when, and what to do', async () => {
  expect(await problemOf({})).toBe(
    `Cannot go on with service "redis": its server was ended by SIGKILL, 1.2 s after it was healthy
Correct what its last log lines name, which the lines of infra give, and start the run again`,
  )
  expect(await problemOf({ outOfMemory: true })).toBe(
    `Cannot go on with service "redis": its server was ended for lack of memory, 1.2 s after it was healthy
Give the engine more memory, or set maxWorkers lower, and start the run again`,
  )
  expect(await problemOf({ exitCode: 3 })).toContain('its server ended with code 3, ')
  expect(await problemOf({ exitCode: undefined })).toContain('its server ended with code unknown, ')
})

test('describeLoss() needs no log', async () => {
  const started = createStartedService({ logTail: () => Promise.reject(new Error('gone')) })
  expect(await describeLoss(started, { name: 'redis', ending: KILLED, afterMs: 0 })).toMatchObject({ lines: [] })
})

test('Stack.lost resolves when a server that was ready ends', async () => {
  const ended = Promise.withResolvers<ServerEnding>()
  const stack = createStack(createStartedService({ ended: ended.promise, label: 'redis-1' }))
  await stack.start()
  ended.resolve(KILLED)
  expect(await stack.lost).toMatchObject({ label: 'redis-1', lines: ['ready'], error: { code: 'INFRA_SERVICE_LOST' } })
})

test('Stack.stop() loses no server', async () => {
  const ended = Promise.withResolvers<ServerEnding>()
  const stop = async () => ended.resolve(KILLED)
  const stack = createStack(createStartedService({ ended: ended.promise, stop }))
  await stack.start()
  await stack.stop()
  await ended.promise
  expect(await Promise.race([stack.lost, Promise.resolve('nothing')])).toBe('nothing')
})

test('Stack.stop() does not keep a server that has ended', async () => {
  const log: string[] = []
  const ended = Promise.withResolvers<ServerEnding>()
  const keeping = { note: () => {}, leave: async () => void log.push('leave') }
  const stack = createStack(
    createStartedService({ ended: ended.promise, keeping, stop: async () => void log.push('stop') }),
  )
  await stack.start()
  ended.resolve(KILLED)
  await stack.lost
  await stack.stop()
  expect(log).toEqual(['stop'])
})

import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import type { Provider } from '../../../src/providers/provider.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import { describeLoss } from '../../../src/stack/service-lost.ts'
import { Stack, type StackLoss } from '../../../src/stack/stack.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { createDefinition, createProvider, createStartedService } from '../support/fake-provider.ts'
import type { ServerExit, StartedService } from '../../../src/services/service.ts'

const KILLED: ServerExit = { running: false, exitCode: 137, outOfMemory: false }

async function problemOf(exit: Partial<ServerExit>, isRestarted = false): Promise<string> {
  const loss = { name: 'redis', exit: { ...KILLED, ...exit }, afterMs: 1_234, isRestarted }
  return (await describeLoss(createStartedService(), loss)).error.message
}

/** A stack of one Redis. */
function createStack(started: StartedService): Stack {
  return createRestartedStack(async () => started, [])
}

function createRestartedStack(
  start: Provider['start'],
  events: InfraEvent[],
  restarted: readonly string[] = [],
): Stack {
  return new Stack({
    definitions: [createDefinition('redis')],
    startupTimeoutMs: 1_000,
    restarted,
    report: (event) => events.push(event),
    provider: createProvider(start),
    clock: new FakeClock(),
  })
}

async function nextLoss(stack: Stack): Promise<StackLoss> {
  const { value } = (await stack.losses[Symbol.asyncIterator]().next()) as { value: StackLoss }
  return value
}

/** Servers that exit on request, and their records. */
function createServers() {
  const log: string[] = []
  const endings: PromiseWithResolvers<ServerExit>[] = []
  const start = async () => {
    const number = endings.push(Promise.withResolvers()) - 1
    log.push(`start ${number}`)
    return createStartedService({
      address: { host: 'localhost', port: 50_000 + number },
      exited: (endings[number] as PromiseWithResolvers<ServerExit>).promise,
      logTail: async () => {
        log.push(`read log ${number}`)
        return 'ready'
      },
      stop: async () => void log.push(`stop ${number}`),
    })
  }
  return { log, start, end: (number: number) => endings[number]?.resolve(KILLED) }
}

test('describeLoss() names the server, its exit, the time and the remedy', async () => {
  expect(await problemOf({})).toBe(
    `Cannot go on with service "redis": its server was killed by SIGKILL, 1.2 s after it was healthy
Correct what its last log lines name, which the lines of infra give, and start the run again`,
  )
  expect(await problemOf({ outOfMemory: true })).toBe(
    `Cannot go on with service "redis": its server was killed, as it ran out of memory, 1.2 s after it was healthy
Give the engine more memory, or set maxWorkers lower, and start the run again`,
  )
  expect(await problemOf({}, true)).toMatch(/, and start the run again; the files that follow have a new server$/)
  expect(await problemOf({ exitCode: 3 })).toContain('its server exited with code 3, ')
  expect(await problemOf({ exitCode: undefined })).toContain('its server exited with code unknown, ')
})

test('describeLoss() says why there is no log', async () => {
  const started = createStartedService({ logTail: () => Promise.reject(new Error('gone')) })
  expect(await describeLoss(started, { name: 'redis', exit: KILLED, afterMs: 0, isRestarted: false })).toMatchObject({
    lines: ['(its log cannot be read: gone)'],
  })
})

test('Stack.losses reports a ready server that exits', async () => {
  const ended = Promise.withResolvers<ServerExit>()
  const stack = createStack(createStartedService({ exited: ended.promise, label: 'redis-1' }))
  await stack.start()
  ended.resolve(KILLED)
  const { lost, restarted } = await nextLoss(stack)
  expect(await lost).toMatchObject({ label: 'redis-1', lines: ['ready'], error: { code: 'INFRA_SERVICE_LOST' } })
  expect(restarted).toBeUndefined()
})

test('Stack.stop() reports no loss', async () => {
  const ended = Promise.withResolvers<ServerExit>()
  const stop = async () => ended.resolve(KILLED)
  const stack = createStack(createStartedService({ exited: ended.promise, stop }))
  await stack.start()
  await stack.stop()
  await ended.promise
  expect(await Promise.race([nextLoss(stack), Promise.resolve('nothing')])).toBe('nothing')
})

test('Stack.stop() does not leave an exited server for the next run', async () => {
  const log: string[] = []
  const ended = Promise.withResolvers<ServerExit>()
  const reuse = { idleTimeoutMs: 1, note: () => {}, detach: async () => void log.push('detach') }
  const stack = createStack(
    createStartedService({ exited: ended.promise, reuse, stop: async () => void log.push('stop') }),
  )
  await stack.start()
  ended.resolve(KILLED)
  await nextLoss(stack)
  await stack.stop()
  expect(log).toEqual(['stop'])
})

test('Stack restarts an exited server once its log is read, up to three times', async () => {
  const events: InfraEvent[] = []
  const { log, start, end } = createServers()
  const stack = createRestartedStack(start, events, ['redis'])
  await stack.start()
  for (const number of [0, 1, 2]) {
    end(number)
    const { restarted } = await nextLoss(stack)
    expect(await restarted).toMatchObject([{ name: 'redis', address: { port: 50_001 + number } }])
  }
  end(3)
  expect((await nextLoss(stack)).restarted).toBeUndefined()
  expect(log.slice(0, 4)).toEqual(['start 0', 'read log 0', 'stop 0', 'start 1'])
  expect(events.map((event) => event.type === 'service-healthy' && event.origin)).toEqual([
    'new',
    'restart',
    'restart',
    'restart',
  ])
})

test('Stack.stop() stops a server that is restarting', async () => {
  const { log, start, end } = createServers()
  const gate = Promise.withResolvers<void>()
  const stack = createRestartedStack(
    async () => {
      await (log.length > 0 ? gate.promise : undefined)
      return start()
    },
    [],
    ['redis'],
  )
  await stack.start()
  end(0)
  const { restarted } = await nextLoss(stack)
  const stopping = stack.stop()
  gate.resolve()
  await stopping
  await expect(restarted).rejects.toThrow('the run ended while its services were starting')
  expect(log.at(-1)).toBe('stop 1')
})

test('a server that cannot restart stays down, and the loss gives the reason', async () => {
  const { log, start, end } = createServers()
  const failure = new InfraError('INFRA_SERVICE_START', { problem: 'Cannot start', remedy: 'Correct it' })
  const stack = createRestartedStack(
    async () => {
      if (log.length > 0) {
        throw failure
      }
      return start()
    },
    [],
    ['redis'],
  )
  await stack.start()
  end(0)
  await expect((await nextLoss(stack)).restarted).rejects.toBe(failure)
})

import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import type { Provider, StartContext } from '../../../src/providers/provider.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import type { ServiceDefinition, StartedService } from '../../../src/services/service.ts'
import { Stack } from '../../../src/stack/stack.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { createDefinition, createProvider, createStartedService } from '../support/fake-provider.ts'

type Start = (definition: ServiceDefinition, context: StartContext) => Promise<StartedService>

interface Setup {
  readonly stack: Stack
  readonly events: InfraEvent[]
  /** The events, in order. */
  readonly log: string[]
  readonly clock: FakeClock
}

interface SetupOptions {
  readonly postgres?: Partial<ServiceDefinition>
  readonly redis?: Partial<ServiceDefinition>
  /** The provider's work before it returns a server. */
  readonly start?: Start
  readonly server?: (name: string) => Partial<StartedService>
  readonly onWaiting?: () => void
}

/** A stack of PostgreSQL and Redis that keeps a log of starts and stops. */
function createStack({ postgres, redis, start, server, onWaiting }: SetupOptions = {}): Setup {
  const events: InfraEvent[] = []
  const log: string[] = []
  const clock = new FakeClock()
  const serve = (name: string): StartedService => {
    const given = server?.(name)
    return createStartedService({
      label: `vitest-infra-${name}`,
      container: `vitest-infra-${name}`,
      ...given,
      stop: async () => {
        log.push(`stop ${name}`)
        await given?.stop?.()
      },
    })
  }
  const provider: Provider = createProvider(async (definition, context) => {
    const { name } = definition.service
    log.push(`start ${name}`)
    return (await start?.(definition, context)) ?? serve(name)
  })
  const stack = new Stack({
    provider,
    definitions: [createDefinition('postgres', postgres), createDefinition('redis', redis)],
    startupTimeoutMs: 1_000,
    restarted: [],
    report: (event) => events.push(event),
    clock,
    ...(onWaiting && { onWaiting }),
  })
  return { stack, events, log, clock }
}

/** A start that the run can abort, as a provider's. */
function untilAborted({ signal }: StartContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
}

test('Stack.start() resolves with every service, in the order of the definitions', async () => {
  const { stack, events } = createStack({ redis: { probe: async () => '8.0.6' } })
  const address = { host: 'localhost', port: 49_153 }
  expect(await stack.start()).toMatchObject([
    { name: 'postgres', address, version: '18.6', state: 'healthy', container: 'vitest-infra-postgres' },
    { name: 'redis', address, version: '8.0.6', state: 'healthy', container: 'vitest-infra-redis' },
  ])
  expect(events).toEqual([
    { type: 'service-healthy', service: 'postgres', version: '18.6', ...address, elapsedMs: 0, origin: 'new' },
    { type: 'service-healthy', service: 'redis', version: '8.0.6', ...address, elapsedMs: 0, origin: 'new' },
  ])
})

test('Stack.start() starts services in parallel', async () => {
  let starting = 0
  const { promise: bothStarting, resolve } = Promise.withResolvers<void>()
  const { stack } = createStack({
    async start(definition) {
      starting += 1
      if (starting === 2) {
        resolve()
      }
      await bothStarting
      return createStartedService({ label: definition.service.name })
    },
  })
  expect(await stack.start()).toHaveLength(2)
})

test('Stack.start() starts once, however often it is called', async () => {
  const { stack, log } = createStack()
  const [first, second] = await Promise.all([stack.start(), stack.start()])
  expect(first).toBe(second)
  expect(log).toEqual(['start postgres', 'start redis'])
})

test('Stack.start() prepares a healthy service before it returns it', async () => {
  const order: string[] = []
  const { stack } = createStack({
    postgres: {
      probe: async () => {
        order.push('query')
        return '18.6'
      },
      prepare: async ({ address, version }) => {
        order.push(`prepare ${version} on ${address.host}:${address.port}`)
      },
    },
  })
  await stack.start()
  expect(order).toEqual(['query', 'prepare 18.6 on localhost:49153'])
})

test("Stack.start() rejects with the provider's error after it has stopped the others", async () => {
  const failure = new Error('no such image')
  const { stack, log } = createStack({
    async start({ service }) {
      if (service.name === 'redis') {
        throw failure
      }
      return undefined as never
    },
  })
  await expect(stack.start()).rejects.toBe(failure)
  expect(log).toEqual(['start postgres', 'start redis', 'stop postgres'])
})

test('Stack.start() stops all services if one does not become healthy', async () => {
  const { stack, log } = createStack({
    redis: {
      probe: async () => {
        throw new Error('connect ECONNREFUSED')
      },
    },
  })
  const error = await catchInfraError(() => stack.start())
  expect(error).toMatchObject({ code: 'INFRA_SERVICE_UNHEALTHY', service: 'redis' })
  expect(log.toSorted()).toEqual(['start postgres', 'start redis', 'stop postgres', 'stop redis'])
})

test('Stack.start() stops everything if a service cannot be prepared', async () => {
  const failure = new Error('syntax error in 001_customers.sql')
  const { stack, log } = createStack({
    postgres: {
      prepare: async () => {
        throw failure
      },
    },
  })
  await expect(stack.start()).rejects.toBe(failure)
  expect(log.toSorted()).toEqual(['start postgres', 'start redis', 'stop postgres', 'stop redis'])
})

test('Stack.start() aborts the other starts if one fails', async () => {
  const failure = new Error('no such image')
  const heard: unknown[] = []
  const { stack } = createStack({
    start({ service }, context) {
      if (service.name === 'postgres') {
        return untilAborted(context).catch((error: unknown) => {
          heard.push(error)
          throw error
        })
      }
      return Promise.reject(failure)
    },
  })
  await expect(stack.start()).rejects.toBe(failure)
  expect(heard).toEqual([failure])
})

// In the order of the definitions, PostgreSQL's error would come first.
test('Stack.start() rejects with the first error', async () => {
  const first = new Error('redis failed first')
  const second = new Error('postgres failed because of it')
  const { stack } = createStack({
    start: ({ service }, context) =>
      service.name === 'redis'
        ? Promise.reject(first)
        : untilAborted(context).catch(() => {
            throw second
          }),
  })
  await expect(stack.start()).rejects.toBe(first)
})

test('Stack.start() waits for a server that starts while another fails, and stops it', async () => {
  const failure = new Error('no such image')
  const { promise: pulled, resolve: pull } = Promise.withResolvers<void>()
  let settled = false
  const { stack, log } = createStack({
    async start({ service }) {
      if (service.name === 'redis') {
        throw failure
      }
      await pulled
      return undefined as never
    },
  })
  const start = stack.start().finally(() => (settled = true))
  start.catch(() => {})
  await new Promise(setImmediate)
  expect(settled).toBe(false)
  pull()
  await expect(start).rejects.toBe(failure)
  expect(log).toEqual(['start postgres', 'start redis', 'stop postgres'])
})

test('Stack.start() reports servers that it cannot stop and rejects with the first error', async () => {
  const failure = new Error('no such image')
  let stops = 0
  const { stack, events } = createStack({
    async start({ service }) {
      if (service.name === 'redis') {
        throw failure
      }
      return undefined as never
    },
    server: () => ({
      stop: async () => {
        stops += 1
        if (stops === 1) {
          throw new Error('the engine is busy')
        }
      },
    }),
  })
  await expect(stack.start()).rejects.toBe(failure)
  const messages = events.flatMap((event) => (event.type === 'stop-failed' ? [event.message] : []))
  expect(messages).toHaveLength(1)
  expect(messages[0]).toMatch(/^Cannot stop the stack: vitest-infra-postgres: the engine is busy\n/)
  await stack.stop()
  expect(stops).toBe(2)
})

test('Stack.stop() stops every service', async () => {
  const { stack, log } = createStack()
  await stack.start()
  await stack.stop()
  expect(log.slice(2).toSorted()).toEqual(['stop postgres', 'stop redis'])
})

test('Stack.stop() does nothing before a start', async () => {
  const { stack, log } = createStack()
  await stack.stop()
  expect(log).toEqual([])
})

test('Stack.stop() does nothing the second time', async () => {
  const { stack, log } = createStack()
  await stack.start()
  await Promise.all([stack.stop(), stack.stop()])
  await stack.stop()
  expect(log.slice(2).toSorted()).toEqual(['stop postgres', 'stop redis'])
})

test('Stack.stop() waits longer if the next run needs the same port', async () => {
  const waits: number[] = []
  for (const hostPort of [undefined, 6379]) {
    const { stack, clock } = createStack({ redis: { hostPort }, server: () => ({ stop: () => new Promise(() => {}) }) })
    await stack.start()
    const beginMs = clock.now()
    await Promise.all([stack.stop(), stack.stop()])
    waits.push(clock.now() - beginMs)
  }
  expect(waits).toEqual([30, 5_000])
})

test('Stack.stop() does not wait for slow servers and reports later failures', async () => {
  const { promise: removed, reject: fail } = Promise.withResolvers<void>()
  const { stack, events } = createStack({ server: () => ({ stop: () => removed }) })
  await stack.start()
  await stack.stop()
  const before = events.length
  fail(new Error('the driver is busy'))
  await new Promise(setImmediate)
  expect(events.slice(before)).toEqual([
    {
      type: 'stop-failed',
      message: expect.stringMatching(/^Cannot stop the stack: vitest-infra-postgres: the driver/),
    },
  ])
})

test('Stack.stop() aborts a start in progress, which then rejects', async () => {
  const { stack, log } = createStack({
    start: async ({ service }, context) => (service.name === 'redis' ? untilAborted(context) : (undefined as never)),
  })
  const error = catchInfraError(() => stack.start())
  await new Promise(setImmediate)
  await stack.stop()
  expect(await error).toMatchObject({ code: 'INFRA_START_ABORTED' })
  expect((await error).message).toBe(
    ['Cannot start the stack: the run ended while its services were starting', 'Start the run again'].join('\n'),
  )
  expect(log).toEqual(['start postgres', 'start redis', 'stop postgres'])
})

test('Stack.stop() waits for a start that cannot be aborted, and stops the server', async () => {
  const { promise: pulled, resolve: pull } = Promise.withResolvers<void>()
  const { stack, log } = createStack({
    async start() {
      await pulled
      return undefined as never
    },
  })
  const error = catchInfraError(() => stack.start())
  const stop = stack.stop().then(() => log.push('stopped'))
  await new Promise(setImmediate)
  expect(log).toEqual(['start postgres', 'start redis'])
  pull()
  await stop
  expect(log.slice(2, 4).toSorted()).toEqual(['stop postgres', 'stop redis'])
  expect(log.at(-1)).toBe('stopped')
  expect((await error).code).toBe('INFRA_START_ABORTED')
})

// A migration may run for minutes; stopping its server ends it.
test('Stack.stop() stops a server without waiting for its preparation', { timeout: 1_000 }, async () => {
  const { promise: preparing, resolve: begin } = Promise.withResolvers<void>()
  const { promise: connection, reject: breakConnection } = Promise.withResolvers<void>()
  const { stack, log } = createStack({
    postgres: {
      prepare() {
        begin()
        return connection
      },
    },
    server: () => ({
      stop: async () => breakConnection(new Error('terminating connection')),
    }),
  })
  const error = catchInfraError(() => stack.start())
  await preparing
  await stack.stop()
  expect((await error).code).toBe('INFRA_START_ABORTED')
  expect(log.slice(2).toSorted()).toEqual(['stop postgres', 'stop redis'])
})

test('Stack.start() after stop() leaves nothing', async () => {
  const { stack, log } = createStack()
  await stack.stop()
  const error = await catchInfraError(() => stack.start())
  expect(error.code).toBe('INFRA_START_ABORTED')
  expect(log.filter((line) => line.startsWith('stop'))).toHaveLength(
    log.filter((line) => line.startsWith('start')).length,
  )
})

test('Stack.stop() tries every service before it reports all failures', async () => {
  const { stack, log } = createStack({
    server: (name) => ({
      stop: async () => {
        throw new Error(`${name} is stuck`)
      },
    }),
  })
  await stack.start()
  const error = await catchInfraError(() => stack.stop())
  expect(error.code).toBe('INFRA_STOP_FAILED')
  expect(error.message).toBe(
    [
      'Cannot stop the stack: vitest-infra-postgres: postgres is stuck; vitest-infra-redis: redis is stuck',
      'Remove what is left with: docker rm -fv vitest-infra-postgres vitest-infra-redis',
    ].join('\n'),
  )
  expect(log.slice(2).toSorted()).toEqual(['stop postgres', 'stop redis'])
})

test('Stack.stop() can be retried for the remaining servers', async () => {
  let stuck = true
  const { stack, log } = createStack({
    server: (name) => ({
      stop: async () => {
        if (name === 'redis' && stuck) {
          throw new Error('stuck')
        }
      },
    }),
  })
  await stack.start()
  await catchInfraError(() => stack.stop())
  stuck = false
  log.length = 0
  await stack.stop()
  await stack.stop()
  expect(log).toEqual(['stop redis'])
})

/** A server from a snapshot, which writes into the log when the snapshot is thrown away. */
function restoredService(log: string[], given: Partial<StartedService> = {}): StartedService {
  const discard = async () => void log.push('discard')
  return createStartedService({
    ...given,
    snapshot: { kind: 'restored', discard },
    stop: async () => void log.push('stop restored'),
  })
}

test('Stack.start() discards a snapshot whose server exits, reports it and starts without one', async () => {
  const ended = { running: false, exitCode: 1, outOfMemory: false } as const
  const wanted: boolean[] = []
  let probes = 0
  const { stack, events, log } = createStack({
    postgres: {
      snapshot: { key: 'k', restore: '' },
      probe: async () => {
        probes += 1
        // The first server never answers, so that its exit is noticed.
        if (wanted.length === 1) {
          throw new Error(`not yet, ${probes}`)
        }
        return '18.6'
      },
    },
    start: async ({ service, snapshot }) => {
      if (service.name === 'redis') {
        return createStartedService()
      }
      wanted.push(snapshot !== undefined)
      return snapshot ? restoredService(log, { status: async () => ended }) : createStartedService()
    },
  })
  await stack.start()
  expect(wanted).toEqual([true, false])
  expect(log.filter((entry) => !entry.startsWith('start'))).toEqual(['stop restored', 'discard'])
  expect(events).toContainEqual({
    type: 'snapshot-discarded',
    service: 'postgres',
    reason: 'Cannot start service "postgres": its server exited with code 1 before it was healthy',
  })
  expect(events).toContainEqual(
    expect.objectContaining({ service: 'postgres', type: 'service-healthy', origin: 'new' }),
  )
})

test('Stack.start() does not retry a start that failed without a snapshot', async () => {
  const { stack, log } = createStack({
    postgres: { prepare: () => Promise.reject(new Error('no such table')) },
  })
  await expect(stack.start()).rejects.toThrow('no such table')
  expect(log.filter((entry) => entry === 'start postgres')).toHaveLength(1)
})

/** A reusable server that logs its fate. */
function keptService(log: string[], given: Partial<StartedService> = {}): StartedService {
  return createStartedService({
    reuse: {
      idleTimeoutMs: 1,
      note: (text) => void log.push(`note ${text}`),
      detach: async () => void log.push('leave'),
    },
    stop: async () => void log.push('stop kept'),
    ...given,
  })
}

const ATTACHED = { snapshot: { kind: 'attached', note: 'as ever' } } as const

test('Stack.stop() leaves reusable servers for the next run and stops the rest', async () => {
  const log: string[] = []
  const { stack, log: stops } = createStack({
    server: (name) => (name === 'postgres' ? { ...keptService(log), stop: async () => {} } : {}),
    postgres: { prepare: async ({ reuse }) => reuse?.note('like new') },
    redis: { prepare: async ({ reuse }) => expect(reuse).toBeUndefined() },
  })
  expect(stack.staysUp).toBe(false)
  await stack.start()
  expect(stack.staysUp).toBe(true)
  await stack.stop()
  expect(log).toEqual(['note like new', 'leave'])
  expect(stops.filter((entry) => entry.startsWith('stop'))).toEqual(['stop redis'])
})

test('Stack.start() replaces a reused server that cannot be prepared, and reports it', async () => {
  const log: string[] = []
  const { stack, events } = createStack({
    start: async ({ service }) =>
      service.name === 'redis' || log.length > 0 ? createStartedService() : keptService(log, ATTACHED),
    postgres: {
      prepare: async ({ snapshot }) => {
        if (snapshot.kind === 'attached') {
          throw new Error('there are roles\nin it')
        }
      },
    },
  })
  await stack.start()
  expect(log).toEqual(['stop kept'])
  expect(events).toContainEqual({ type: 'service-replaced', service: 'postgres', reason: 'there are roles' })
  expect(events).toContainEqual(expect.objectContaining({ service: 'postgres', origin: 'new' }))
})

test('Stack.start() reports a reused server that can neither be prepared nor removed', async () => {
  const { stack } = createStack({
    start: async ({ service }) =>
      service.name === 'redis'
        ? createStartedService()
        : keptService([], { ...ATTACHED, stop: () => Promise.reject(new Error('HTTP 500: the engine is busy')) }),
    postgres: { prepare: () => Promise.reject(new Error('there are roles in it')) },
  })
  await expect(stack.start()).rejects.toMatchObject({
    code: 'INFRA_STOP_FAILED',
    message: expect.stringMatching(
      /^Cannot make room for a new server: .*: HTTP 500: the engine is busy\n.*docker rm -fv/,
    ),
  })
})

const SEED_FAILED = new InfraError('INFRA_SEED_FAILED', {
  problem: 'Cannot load 1.sql:1: relation "nowhere" does not exist',
  remedy: 'Correct 1.sql and run the tests again',
  service: 'postgres',
  cause: Object.assign(new Error('relation "nowhere" does not exist'), { code: '42P01' }),
})

test.for([
  ['server of an earlier run', ATTACHED, 'leave'],
  ['snapshot', { snapshot: { kind: 'restored', discard: async () => {} } }, 'stop kept'],
] as const)('Stack.start() does not blame a %s for a failed seed', async ([, given, outcome]) => {
  const log: string[] = []
  const {
    stack,
    events,
    log: starts,
  } = createStack({
    postgres: { prepare: () => Promise.reject(SEED_FAILED) },
    start: async ({ service }) => (service.name === 'postgres' ? keptService(log, given) : createStartedService()),
  })
  await expect(stack.start()).rejects.toBe(SEED_FAILED)
  expect(log).toEqual([outcome])
  expect(starts.filter((entry) => entry === 'start postgres')).toHaveLength(1)
  expect(events.filter(({ type }) => type === 'service-replaced' || type === 'snapshot-discarded')).toEqual([])
})

test.for<[string, InfraError, () => Promise<string>]>([
  ['a seed fails and the server answers no more', SEED_FAILED, () => Promise.reject(new Error('ECONNREFUSED'))],
  [
    'the disk is full',
    new InfraError('INFRA_SEED_FAILED', {
      problem: 'Cannot load 1.sql:1: No space left on device',
      remedy: 'Correct it',
      cause: new Error('wrapped', { cause: Object.assign(new Error('disk full'), { code: '53100' }) }),
    }),
    async () => '18.6',
  ],
])('Stack.start() replaces a reused server if %s', async ([, failure, answer]) => {
  const log: string[] = []
  let isPrepared = false
  const { stack, events } = createStack({
    start: async ({ service }) =>
      service.name === 'redis' || isPrepared ? createStartedService() : keptService(log, ATTACHED),
    postgres: {
      // The replacement server has no problem.
      probe: async () => (isPrepared && log.length === 0 ? answer() : '18.6'),
      prepare: async ({ snapshot }) => {
        if (snapshot.kind === 'attached') {
          isPrepared = true
          throw failure
        }
      },
    },
  })
  await stack.start()
  expect(log).toEqual(['stop kept'])
  expect(events).toContainEqual(expect.objectContaining({ type: 'service-replaced', service: 'postgres' }))
})

test.for([
  ['leaves a server of an earlier run that is not being prepared yet', ATTACHED, 'probe', 'leave'],
  ['ends a server of an earlier run that is being prepared', ATTACHED, 'prepare', 'stop kept'],
  ['ends a new server that is not ready', {}, 'probe', 'stop kept'],
] as const)('Stack.stop() %s', async ([, given, stage, outcome]) => {
  const log: string[] = []
  const began = Promise.withResolvers<void>()
  const hang = () => {
    began.resolve()
    return new Promise<never>(() => {})
  }
  const { stack } = createStack({
    postgres: { [stage]: hang },
    start: async ({ service }) => (service.name === 'postgres' ? keptService(log, given) : createStartedService()),
  })
  void stack.start().catch(() => {})
  await began.promise
  void stack.stop()
  await expect.poll(() => log).toEqual([outcome])
})

test('Stack.start() reports once that only waiting is left', async () => {
  let told = 0
  const { stack } = createStack({
    start: async (_definition, { onWaiting }) => {
      onWaiting?.()
      return createStartedService()
    },
    onWaiting: () => void (told += 1),
  })
  await stack.start()
  expect(told).toBe(1)
})

import { expect, test } from 'vitest'
import { type Admission, awaitHealthy, type GateOptions } from '../../../src/health/gate.ts'
import type { Clock } from '../../../src/internal/clock.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { createDefinition, createStartedService } from '../support/fake-provider.ts'
import type { HealthcheckResult, ServerStatus } from '../../../src/services/service.ts'

const PASSED: HealthcheckResult = { passed: true, output: 'accepting connections\n' }
const FAILED: HealthcheckResult = { passed: false, output: 'no response\n' }

async function refuse(): Promise<never> {
  throw new Error('connect ECONNREFUSED 127.0.0.1:49153')
}

function gate(given: Partial<GateOptions>): Promise<Admission> {
  return awaitHealthy({
    definition: createDefinition('postgres'),
    started: createStartedService(),
    windowMs: 60_000,
    clock: new FakeClock(),
    signal: new AbortController().signal,
    ...given,
  })
}

/** A query that is answered from a moment on. */
function answerFrom(clock: Clock, fromMs: number): () => Promise<string> {
  return async () => (clock.now() < fromMs ? refuse() : '18.6')
}

test('awaitHealthy() admits a healthy service at once', async () => {
  const clock = new FakeClock()
  expect(await gate({ clock })).toEqual({ state: 'healthy', version: '18.6' })
  expect(clock.now()).toBe(0)
})

test("awaitHealthy() sends the query to the service's address", async () => {
  const asked: unknown[] = []
  const definition = createDefinition('postgres', {
    probe: async (address) => {
      asked.push(address)
      return '18.6'
    },
  })
  await gate({ definition })
  expect(asked).toEqual([{ host: 'localhost', port: 49_153 }])
})

// Not the engine's timer: the interval of the healthcheck is 5 s.
test('awaitHealthy() notices within milliseconds that the query is answered', async () => {
  const clock = new FakeClock()
  await gate({ clock, definition: createDefinition('postgres', { probe: answerFrom(clock, 730) }) })
  expect(clock.now() - 730).toBeLessThan(50)
})

test('awaitHealthy() does not admit on the healthcheck alone', async () => {
  const clock = new FakeClock()
  const definition = createDefinition('postgres', { probe: answerFrom(clock, 20_000) })
  await gate({ clock, definition })
  expect(clock.now()).toBeGreaterThanOrEqual(20_000)
})

test('awaitHealthy() does not admit on the query alone', async () => {
  const clock = new FakeClock()
  const runHealthcheck = async () => (clock.now() < 20_000 ? FAILED : PASSED)
  await gate({ clock, started: createStartedService({ runHealthcheck }) })
  expect(clock.now()).toBeGreaterThanOrEqual(20_000)
  expect(clock.now()).toBeLessThan(20_100)
})

// The temporary first server of the postgres image answers and exits, and a second one starts.
test('awaitHealthy() requires both at the same time', async () => {
  const clock = new FakeClock()
  const probe = async () => (clock.now() < 1_000 || clock.now() >= 5_000 ? '18.6' : refuse())
  const runHealthcheck = async () => (clock.now() < 2_000 ? FAILED : PASSED)
  await gate({
    clock,
    definition: createDefinition('postgres', { probe }),
    started: createStartedService({ runHealthcheck }),
  })
  expect(clock.now()).toBeGreaterThanOrEqual(5_000)
})

test('awaitHealthy() does not run the healthcheck while the query is refused', async () => {
  const clock = new FakeClock()
  let checks = 0
  const runHealthcheck = async () => {
    checks += 1
    return PASSED
  }
  await gate({
    clock,
    definition: createDefinition('postgres', { probe: answerFrom(clock, 21_000) }),
    started: createStartedService({ runHealthcheck }),
  })
  // One each 5 s, as declared, and the one that admits.
  expect(checks).toBe(5)
})

test.for<[ServerStatus, string]>([
  [{ running: false, exitCode: 1, outOfMemory: false }, 'its server exited with code 1 before it was healthy'],
  [{ running: false, exitCode: 0, outOfMemory: false }, 'its server exited with code 0 before it was healthy'],
  [
    { running: false, exitCode: undefined, outOfMemory: false },
    'its server exited with code unknown before it was healthy',
  ],
  [
    { running: false, exitCode: 137, outOfMemory: true },
    'its server was killed, as it ran out of memory before it was healthy',
  ],
])('awaitHealthy() fails at once on %j', async ([ended, wording]) => {
  const clock = new FakeClock()
  const status = async (): Promise<ServerStatus> => (clock.now() < 3_000 ? { running: true } : ended)
  const error = await catchInfraError(() =>
    gate({
      clock,
      definition: createDefinition('postgres', { probe: refuse }),
      started: createStartedService({ status }),
    }),
  )
  expect(error).toMatchObject({ code: 'INFRA_SERVICE_EXITED', service: 'postgres' })
  expect(error.message.split('\n')[0]).toBe(`Cannot start service "postgres": ${wording}`)
  expect(clock.now()).toBeLessThanOrEqual(3_500)
})

test('awaitHealthy() reports the exit and the log of a server that exited', async () => {
  const started = createStartedService({
    status: async () => ({ running: false, exitCode: 1, outOfMemory: false }),
    logTail: async (count) => `FATAL: unrecognized configuration parameter "fsyn"\n(${count} lines)\n`,
  })
  const error = await catchInfraError(() =>
    gate({ started, definition: createDefinition('postgres', { probe: refuse }) }),
  )
  expect(error.message).toContain(
    [
      'Last lines of the log of vitest-infra-postgres-1:',
      '  FATAL: unrecognized configuration parameter "fsyn"',
      '  (40 lines)',
      'Correct the error in its log; image postgres:18-alpine, command: postgres-server --quiet',
    ].join('\n'),
  )
})

test('awaitHealthy() fails at the timeout with last results and log', async () => {
  const clock = new FakeClock()
  let queries = 0
  const probe = async () => {
    queries += 1
    clock.advance(700)
    return queries === 1 ? '18.6' : refuse()
  }
  const started = createStartedService({
    runHealthcheck: async () => ({ passed: false, output: 'rejecting connections\n' }),
    logTail: async () => 'LOG: starting\nLOG: recovering\n',
  })
  const definition = createDefinition('postgres', { probe })
  const error = await catchInfraError(() => gate({ clock, started, definition, windowMs: 1_400 }))
  expect(error).toMatchObject({ code: 'INFRA_SERVICE_UNHEALTHY', service: 'postgres' })
  expect(error.message).toBe(
    [
      'Cannot start service "postgres": it is still unhealthy after 1.4 s, the limit',
      'Last results:',
      '  0.7 s healthcheck failed: rejecting connections',
      '  1.4 s query failed: connect ECONNREFUSED 127.0.0.1:49153',
      'Last lines of the log of vitest-infra-postgres-1:',
      '  LOG: starting',
      '  LOG: recovering',
      'Raise startupTimeoutMs or VITEST_INFRA_STARTUP_TIMEOUT_MS (now 1400) if it only needs more time',
    ].join('\n'),
  )
})

test('awaitHealthy() keeps the timeout', async () => {
  const clock = new FakeClock()
  const definition = createDefinition('postgres', { probe: refuse })
  const error = await catchInfraError(() => gate({ clock, definition, windowMs: 60_000 }))
  expect(error.code).toBe('INFRA_SERVICE_UNHEALTHY')
  expect(clock.now()).toBeGreaterThanOrEqual(60_000)
  expect(clock.now()).toBeLessThan(60_100)
})

// Forty queries are refused between two healthchecks; the healthcheck's own words must not be lost among them.
test('awaitHealthy() shows the last healthcheck and the last query', async () => {
  const started = createStartedService({ runHealthcheck: async () => FAILED })
  const definition = createDefinition('postgres', { probe: refuse })
  const error = await catchInfraError(() => gate({ started, definition, windowMs: 8_000 }))
  expect(error.message).toContain('query failed: connect ECONNREFUSED 127.0.0.1:49153')
  expect(error.message).toContain('healthcheck failed: no response')
})

test('awaitHealthy() reports the timeout even if the log cannot be read', async () => {
  const started = createStartedService({
    logTail: async () => {
      throw new Error('no such container')
    },
  })
  const error = await catchInfraError(() =>
    gate({ started, definition: createDefinition('postgres', { probe: refuse }), windowMs: 100 }),
  )
  expect(error.code).toBe('INFRA_SERVICE_UNHEALTHY')
  expect(error.message).toContain('\n  (its log cannot be read: no such container)\n')
})

test('awaitHealthy() stops on an abort before its first check', async () => {
  const reason = new Error('the run ended')
  let asked = false
  const probe = async () => {
    asked = true
    return '18.6'
  }
  const definition = createDefinition('postgres', { probe })
  await expect(gate({ definition, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  expect(asked).toBe(false)
})

test('awaitHealthy() stops on an abort while it waits', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const reason = new Error('the run ended')
  const probe = async () => {
    if (clock.now() >= 1_000) {
      controller.abort(reason)
    }
    return refuse()
  }
  await expect(
    gate({ clock, definition: createDefinition('postgres', { probe }), signal: controller.signal }),
  ).rejects.toBe(reason)
  expect(clock.now()).toBeLessThan(1_050)
})

test('awaitHealthy() passes an abort to the query', async () => {
  const controller = new AbortController()
  const reason = new Error('the run ended')
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  const { promise: heard, resolve: hear } = Promise.withResolvers<unknown>()
  const definition = createDefinition('postgres', {
    probe: (_address, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          hear(signal.reason)
          reject(signal.reason as Error)
        })
        ask()
      }),
  })
  const admission = gate({ definition, signal: controller.signal })
  await asked
  controller.abort(reason)
  await expect(admission).rejects.toBe(reason)
  expect(await heard).toBe(reason)
})

// A server that accepts connections and never answers, like docker-proxy without a listener.
test('awaitHealthy() stops on an abort although the query never ends', { timeout: 1_000 }, async () => {
  const controller = new AbortController()
  const definition = createDefinition('postgres', { probe: () => new Promise(() => {}) })
  const admission = gate({ definition, signal: controller.signal })
  controller.abort(new Error('the run ended'))
  await expect(admission).rejects.toThrow('the run ended')
})

test('awaitHealthy() stops on an abort although the healthcheck never ends', { timeout: 1_000 }, async () => {
  const controller = new AbortController()
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  const runHealthcheck = () => {
    ask()
    return new Promise<never>(() => {})
  }
  const admission = gate({ started: createStartedService({ runHealthcheck }), signal: controller.signal })
  await asked
  controller.abort(new Error('the run ended'))
  await expect(admission).rejects.toThrow('the run ended')
})

test('awaitHealthy() counts a healthcheck that outlasts its timeout as failed', async () => {
  const { service } = createDefinition('postgres')
  const definition = createDefinition('postgres', {
    service: { ...service, healthcheck: { ...service.healthcheck, timeout: '20ms' } },
  })
  const started = createStartedService({ runHealthcheck: () => new Promise(() => {}) })
  const error = await catchInfraError(() => gate({ definition, started, windowMs: 50 }))
  expect(error.code).toBe('INFRA_SERVICE_UNHEALTHY')
  expect(error.message).toContain('healthcheck failed: no answer within 20 ms')
})

// ioredis waits forever for a server that accepts connections and is silent.
test('awaitHealthy() counts a query that never ends as failed after 2 s', async () => {
  const definition = createDefinition('redis', { probe: () => new Promise(() => {}) })
  const error = await catchInfraError(() => gate({ definition, windowMs: 10 }))
  expect(error.code).toBe('INFRA_SERVICE_UNHEALTHY')
  expect(error.message).toMatch(/query failed: no answer within 2 s/)
})

test('awaitHealthy() rethrows errors that do not concern the service', async () => {
  const started = createStartedService({
    status: async () => {
      throw new Error('the engine is gone')
    },
  })
  await expect(gate({ started, definition: createDefinition('postgres', { probe: refuse }) })).rejects.toThrow(
    'the engine is gone',
  )
})

import { InfraError, messageOf } from '../errors.ts'
import { abortable } from '../internal/abortable.ts'
import type { Clock } from '../internal/clock.ts'
import { parseDurationMs } from '../internal/duration.ts'
import { TimeLimitError, withTimeLimit } from '../internal/time-limit.ts'
import type { ServiceDefinition, HealthcheckResult, StartedService } from '../services/service.ts'
import { readLastLogLines } from './last-log-lines.ts'
import { type ServiceState, transition } from '../config/service-state.ts'

const POLL_MS = 25
const PROBE_TIMEOUT_MS = 2_000
const STATUS_INTERVAL_MS = 250
const RESULTS_KEPT = 3
const LOG_LINES = 40

export interface GateOptions {
  readonly definition: ServiceDefinition
  readonly started: StartedService
  /** Timeout for the service to become healthy, in milliseconds. */
  readonly windowMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The latest results, in two lists because queries run far more often than healthchecks. */
interface Results {
  readonly healthcheck: string[]
  readonly query: string[]
}

export interface Admission {
  readonly state: ServiceState
  /** The version that the server reported. */
  readonly version: string
}

/**
 * Waits until a service is usable: its healthcheck passes, and the server answers a real query through the mapped port.
 * The healthcheck is run directly, not at the engine's interval.
 *
 * @throws InfraError `INFRA_SERVICE_EXITED` as soon as the server has exited, `INFRA_SERVICE_UNHEALTHY` after the
 * timeout
 */
export async function awaitHealthy(options: GateOptions): Promise<Admission> {
  const { definition, started, clock, signal, windowMs } = options
  const checkIntervalMs = parseDurationMs(definition.service.healthcheck.interval, 'healthcheck.interval')
  const beginMs = clock.now()
  const results: Results = { healthcheck: [], query: [] }
  let state = transition('stopped', { type: 'start' })
  let nextStatusMs = beginMs + STATUS_INTERVAL_MS
  let nextCheckMs = beginMs + checkIntervalMs

  for (;;) {
    signal.throwIfAborted()
    const probe = await probeOnce(definition, started, signal)
    const now = clock.now()
    if (probe.version !== undefined || now >= nextCheckMs) {
      nextCheckMs = now + checkIntervalMs
      const check = await checkOnce(options)
      const outcome = check.passed ? 'passed' : 'failed'
      remember(results.healthcheck, `${seconds(now - beginMs)} healthcheck ${outcome}: ${check.output}`)
      if (check.passed && probe.version !== undefined) {
        return { state: transition(state, { type: 'passed', streak: 1 }), version: probe.version }
      }
    }
    if (probe.reason !== undefined) {
      remember(results.query, `${seconds(now - beginMs)} query failed: ${probe.reason}`)
    }
    if (now >= nextStatusMs) {
      nextStatusMs = now + STATUS_INTERVAL_MS
      await assertRunning(options, results)
    }
    if (now - beginMs >= windowMs) {
      state = transition(state, { type: 'window-over' })
      throw await unhealthy(options, state, results)
    }
    await clock.sleep(POLL_MS, signal)
  }
}

async function probeOnce(
  definition: ServiceDefinition,
  started: StartedService,
  signal: AbortSignal,
): Promise<{ version?: string; reason?: string }> {
  const probe = (limit: AbortSignal) => definition.probe(started.address, limit)
  try {
    return { version: await withTimeLimit(PROBE_TIMEOUT_MS, probe, signal) }
  } catch (error) {
    signal.throwIfAborted()
    return { reason: messageOf(error) }
  }
}

/** Runs the healthcheck; it fails if it exceeds its own timeout. */
async function checkOnce({ definition, started, signal }: GateOptions): Promise<HealthcheckResult> {
  const timeoutMs = parseDurationMs(definition.service.healthcheck.timeout, 'healthcheck.timeout')
  try {
    return await withTimeLimit(timeoutMs, () => started.runHealthcheck(), signal)
  } catch (error) {
    if (!(error instanceof TimeLimitError)) {
      throw error
    }
    return { passed: false, output: `no answer within ${timeoutMs} ms` }
  }
}

async function assertRunning({ definition, started, signal }: GateOptions, results: Results): Promise<void> {
  const status = await abortable(started.status(), signal)
  if (status.running) {
    return
  }
  const { name, image } = definition.service
  const exit = status.outOfMemory
    ? 'was killed, as it ran out of memory'
    : `exited with code ${status.exitCode ?? 'unknown'}`
  throw new InfraError('INFRA_SERVICE_EXITED', {
    problem: `Cannot start service "${name}": its server ${exit} before it was healthy`,
    detail: await evidence(started, results),
    remedy: `Correct the error in its log; image ${image}, command: ${definition.command.join(' ')}`,
    service: name,
  })
}

async function unhealthy({ definition, started, windowMs }: GateOptions, state: ServiceState, results: Results) {
  const { name } = definition.service
  return new InfraError('INFRA_SERVICE_UNHEALTHY', {
    problem: `Cannot start service "${name}": it is still ${state} after ${seconds(windowMs)}, the limit`,
    detail: await evidence(started, results),
    remedy: `Raise startupTimeoutMs or VITEST_INFRA_STARTUP_TIMEOUT_MS (now ${windowMs}) if it only needs more time`,
    service: name,
  })
}

async function evidence(started: StartedService, results: Results): Promise<string> {
  const log = await readLastLogLines(started, LOG_LINES)
  return [
    'Last results:',
    ...[...results.healthcheck, ...results.query].map((result) => `  ${result.trimEnd()}`),
    `Last lines of the log of ${started.label}:`,
    ...log
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ].join('\n')
}

function remember(results: string[], result: string): void {
  results.push(result)
  results.splice(0, Math.max(0, results.length - RESULTS_KEPT))
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

import { expect, test } from 'vitest'
import {
  type Observation,
  RECOVERY_STREAK,
  type ServiceState,
  stateAfter,
  transition,
} from '../../../src/config/service-state.ts'

const passed = (streak: number): Observation => ({ type: 'passed', streak })
const failed = (streak: number): Observation => ({ type: 'failed', streak, retries: 12 })

/** `undefined`: the observation cannot follow the state. */
type Row = readonly [Observation, Readonly<Record<ServiceState, ServiceState | undefined>>]

function row(observation: Observation, ...next: readonly (ServiceState | undefined)[]): Row {
  const [stopped, starting, healthy, degraded, unhealthy] = next
  return [observation, { stopped, starting, healthy, degraded, unhealthy }]
}

// prettier-ignore
const TABLE: readonly Row[] = [
  //                                stopped     starting     healthy      degraded     unhealthy
  row({ type: 'start' },            'starting', 'starting',  'starting',  'starting',  'starting'),
  row({ type: 'stop' },             'stopped',  'stopped',   'stopped',   'stopped',   'stopped'),
  row({ type: 'exit' },             'stopped',  'unhealthy', 'stopped',   'stopped',   'stopped'),
  row({ type: 'window-over' },      undefined,  'unhealthy', undefined,   undefined,   undefined),
  row(passed(1),                    undefined,  'healthy',   'healthy',   'degraded',  'degraded'),
  row(passed(RECOVERY_STREAK - 1),  undefined,  'healthy',   'healthy',   'degraded',  'degraded'),
  row(passed(RECOVERY_STREAK),      undefined,  'healthy',   'healthy',   'healthy',   'healthy'),
  row(passed(RECOVERY_STREAK + 1),  undefined,  'healthy',   'healthy',   'healthy',   'healthy'),
  row(failed(1),                    undefined,  'starting',  'degraded',  'degraded',  'unhealthy'),
  row(failed(11),                   undefined,  'starting',  'degraded',  'degraded',  'unhealthy'),
  row(failed(12),                   undefined,  'starting',  'unhealthy', 'unhealthy', 'unhealthy'),
  row(failed(13),                   undefined,  'starting',  'unhealthy', 'unhealthy', 'unhealthy'),
]

const moves = TABLE.flatMap(([observation, outcomes]) =>
  Object.entries(outcomes).map(([state, next]) => ({ state: state as ServiceState, observation, next })),
)

test.for(moves.filter(({ next }) => next !== undefined))(
  'transition() goes from $state to $next on $observation',
  ({ state, observation, next }) => {
    expect(transition(state, observation)).toBe(next)
  },
)

test.for(moves.filter(({ next }) => next === undefined))(
  'transition() refuses $observation of a service that is $state',
  ({ state, observation }) => {
    const message = `Cannot apply "${observation.type}" to a service that is ${state}`
    expect(() => transition(state, observation)).toThrow(new RangeError(message))
  },
)

test('transition() does not modify its arguments', () => {
  const observation = Object.freeze(failed(1))
  expect(transition('healthy', observation)).toBe('degraded')
})

test('transition() distinguishes a flapping service from a lost one', () => {
  const seen = [failed(1), passed(1), failed(1), passed(1), passed(2), passed(3), failed(1)]
  const states = seen.reduce<ServiceState[]>((list, next) => [...list, transition(list.at(-1) ?? 'healthy', next)], [])
  expect(states).toEqual(['degraded', 'degraded', 'degraded', 'degraded', 'degraded', 'healthy', 'degraded'])
})

const histories: readonly (readonly [checks: string, wasHealthy: boolean, state: ServiceState])[] = [
  ['', false, 'starting'],
  ['✗✗', false, 'starting'],
  ['✗✗✓', false, 'healthy'],
  ['✓✓✓✓✓', true, 'healthy'],
  ['✓✗', false, 'degraded'],
  ['✓✗✓', false, 'degraded'],
  ['✗✓✓✓✗', true, 'degraded'],
  ['✓✗✓✗✓', true, 'degraded'],
  ['✗✗✓✓✓', true, 'healthy'],
  ['✓✗✗✗', false, 'unhealthy'],
  ['✗✗✗', false, 'unhealthy'],
  ['✗✗✗✗✓', true, 'degraded'],
]

test.for(histories)('after %j, having been healthy before: %j, a service is %s', ([checks, wasHealthy, state]) => {
  const passes = Array.from(checks, (check) => check === '✓')
  const failingStreak = passes.length - 1 - passes.lastIndexOf(true)
  expect(stateAfter({ passes, failingStreak, retries: 3, wasHealthy })).toBe(state)
})

test("failures outside the healthcheck's history count", () => {
  const passes = Array.from({ length: 5 }, () => false)
  expect(stateAfter({ passes, failingStreak: 11, retries: 12, wasHealthy: true })).toBe('degraded')
  expect(stateAfter({ passes, failingStreak: 12, retries: 12, wasHealthy: true })).toBe('unhealthy')
  expect(stateAfter({ passes, failingStreak: 11, retries: 12, wasHealthy: false })).toBe('starting')
})

/**
 * The state of a service.
 *
 * `degraded`: running, but its healthcheck fails now and then. `unhealthy`: its healthcheck never succeeded within
 * its window, or has stopped succeeding.
 */
export type ServiceState = 'stopped' | 'starting' | 'healthy' | 'unhealthy' | 'degraded'

/** Something that was seen of a service. `streak` counts equal results in a row, this one included. */
export type Observation =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'exit' }
  | { readonly type: 'window-over' }
  | { readonly type: 'passed'; readonly streak: number }
  | { readonly type: 'failed'; readonly streak: number; readonly retries: number }

/** Passes in a row after which a service that failed counts as healthy again. */
export const RECOVERY_STREAK = 3

/** The one place that decides a state. Throws a `RangeError` where the observation cannot follow the state. */
export function transition(state: ServiceState, observation: Observation): ServiceState {
  switch (observation.type) {
    case 'start':
      return 'starting'
    case 'stop':
      return 'stopped'
    case 'exit':
      return state === 'starting' ? 'unhealthy' : 'stopped'
    case 'window-over':
      return requireState(state, observation, ['starting'], 'unhealthy')
    case 'passed':
      return afterPass(state, observation)
    case 'failed':
      return afterFailure(state, observation)
    default:
      return observation satisfies never
  }
}

function afterPass(state: ServiceState, observation: Observation & { type: 'passed' }): ServiceState {
  if (state === 'starting' || state === 'healthy') {
    return 'healthy'
  }
  const next = observation.streak >= RECOVERY_STREAK ? 'healthy' : 'degraded'
  return requireState(state, observation, ['degraded', 'unhealthy'], next)
}

function afterFailure(state: ServiceState, observation: Observation & { type: 'failed' }): ServiceState {
  if (state === 'starting' || state === 'unhealthy') {
    return state
  }
  const next = observation.streak >= observation.retries ? 'unhealthy' : 'degraded'
  return requireState(state, observation, ['healthy', 'degraded'], next)
}

function requireState(
  state: ServiceState,
  observation: Observation,
  allowed: readonly ServiceState[],
  next: ServiceState,
): ServiceState {
  if (!allowed.includes(state)) {
    throw new RangeError(`Cannot apply "${observation.type}" to a service that is ${state}`)
  }
  return next
}

/** What an engine's own healthchecks of a running server came to. */
export interface CheckHistory {
  /** Those that are remembered, the oldest first: whether they passed. */
  readonly passes: readonly boolean[]
  /** How many failed since the last that passed; more than are remembered, perhaps. */
  readonly failingStreak: number
  readonly retries: number
  /** Whether there were checks before those, of which one passed. */
  readonly wasHealthy: boolean
}

/** The state to which a history of healthchecks has led. */
export function stateAfter({ passes, failingStreak, retries, wasHealthy }: CheckHistory): ServiceState {
  let state: ServiceState = wasHealthy ? 'healthy' : transition('stopped', { type: 'start' })
  // The failures at the end may have begun before what is remembered.
  const forgotten = passes.includes(true) ? 0 : failingStreak - passes.length
  let streak = Math.max(0, forgotten)
  passes.forEach((passed, index) => {
    streak = index === 0 || passed === passes[index - 1] ? streak + 1 : 1
    state = transition(state, passed ? { type: 'passed', streak } : { type: 'failed', streak, retries })
  })
  return state === 'starting' && failingStreak >= retries ? transition(state, { type: 'window-over' }) : state
}

/**
 * The state of a service.
 *
 * `degraded`: it is running, but its healthcheck fails now and then. `unhealthy`: its healthcheck did not succeed
 * within the startup window, or no longer succeeds.
 */
export type ServiceState = 'stopped' | 'starting' | 'healthy' | 'unhealthy' | 'degraded'

/**
 * An event that may change a service's state. `streak` is the number of consecutive equal results, including this one.
 */
export type Observation =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'exit' }
  | { readonly type: 'window-over' }
  | { readonly type: 'passed'; readonly streak: number }
  | { readonly type: 'failed'; readonly streak: number; readonly retries: number }

/** Number of consecutive passes after which a failing service counts as healthy again. */
export const RECOVERY_STREAK = 3

/**
 * Returns the state after an observation. All state changes are decided here. Throws a `RangeError` if the observation
 * is impossible in this state.
 */
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

/** The history of an engine's own healthchecks of a running server. */
export interface CheckHistory {
  /** Whether each recorded check passed, oldest first. */
  readonly passes: readonly boolean[]
  /** Number of failures since the last pass. It can exceed the number of recorded checks. */
  readonly failingStreak: number
  readonly retries: number
  /** Whether a check passed before the recorded ones. */
  readonly wasHealthy: boolean
}

/** Returns the state that results from a history of healthchecks. */
export function stateAfter({ passes, failingStreak, retries, wasHealthy }: CheckHistory): ServiceState {
  let state: ServiceState = wasHealthy ? 'healthy' : transition('stopped', { type: 'start' })
  // If no recorded check passed, the failures may have begun before the recorded checks.
  const forgotten = passes.includes(true) ? 0 : failingStreak - passes.length
  let streak = Math.max(0, forgotten)
  passes.forEach((passed, index) => {
    streak = index === 0 || passed === passes[index - 1] ? streak + 1 : 1
    state = transition(state, passed ? { type: 'passed', streak } : { type: 'failed', streak, retries })
  })
  return state === 'starting' && failingStreak >= retries ? transition(state, { type: 'window-over' }) : state
}

import { once } from 'node:events'
import type { ProviderName } from '../environment/infra-facts.ts'
import { messageOf } from '../errors.ts'
import { type ServiceState, stateAfter, transition } from '../config/service-state.ts'
import { withTimeLimit } from '../internal/time-limit.ts'
import {
  findRunningServices,
  type RunningService,
  type RunningServices,
} from '../providers/docker/reuse/running-services.ts'
import type { ServiceStatus } from '../report/render-status.ts'
import { defineServices } from '../services/define-services.ts'
import type { ServiceDefinition } from '../services/service.ts'
import type { InfraService } from '../config/infra-service.ts'
import { type ResolvedSpec, serverOf, servicesOf } from '../config/resolve-spec.ts'

/** Number of healthcheck results that an engine keeps. */
const RESULTS_KEPT = 5
const PROVIDER: ProviderName = 'docker'

const PROBE_TIMEOUT_MS = 2_000

/** Returns the current status of every service of a project, without any effect on the services. */
export async function observeServices(
  environment: Record<string, string | undefined>,
  spec: ResolvedSpec,
): Promise<readonly ServiceStatus[]> {
  if (spec.provider === 'external') {
    return Promise.all(defineServices(spec).map((definition) => observeExternal(definition, spec)))
  }
  const running = await findRunningServices(environment, spec.root)
  return Promise.all(servicesOf(spec).map(({ service }) => observe(running, service)))
}

/** Probes an external server. Its image, container and start time are unknown. */
async function observeExternal({ service, probe }: ServiceDefinition, spec: ResolvedSpec): Promise<ServiceStatus> {
  const { name } = service
  const { host, port } = serverOf(spec, name) ?? { host: 'localhost', port: service.defaultPort }
  const at = new Date().toISOString()
  const check = await withTimeLimit(PROBE_TIMEOUT_MS, (signal) => probe({ host, port }, signal)).then(
    (version) => ({ at, passed: true, output: version }),
    (error: unknown) => ({ at, passed: false, output: messageOf(error) }),
  )
  const state = check.passed ? 'healthy' : 'unhealthy'
  return { service: name, state, address: `${host}:${port}`, provider: 'external', healthchecks: [check] }
}

async function observe({ api, services }: RunningServices, service: InfraService): Promise<ServiceStatus> {
  const { name, image, defaultPort, state } = service
  const found = services.find((running) => running.name === name)
  if (!found) {
    return { service: name, state, image, provider: PROVIDER, healthchecks: [] }
  }
  const { State } = found.details
  const { host, port } = found.addressOf(defaultPort)
  return {
    service: name,
    state: await stateOf(api, found),
    image,
    address: `${host}:${port}`,
    provider: PROVIDER,
    since: State.StartedAt,
    container: found.container,
    healthchecks: checksOf(found).map(({ Start, ExitCode, Output }) => {
      return { at: Start, passed: ExitCode === 0, output: Output.trim() }
    }),
  }
}

async function stateOf(api: RunningServices['api'], service: RunningService): Promise<ServiceState> {
  const { State, Config } = service.details
  const retries = Config.Healthcheck?.Retries ?? 1
  if (State.Paused) {
    // A paused service answers nothing, and its healthcheck is suspended.
    return transition('healthy', { type: 'failed', streak: retries, retries })
  }
  const passes = checksOf(service).map(({ ExitCode }) => ExitCode === 0)
  if (passes.length === 0) {
    // The engine runs the first healthcheck only after one interval, so it is run here.
    passes.push(await passesCheck(api, service))
  }
  const { Status = 'starting', FailingStreak = 0 } = State.Health ?? {}
  return stateAfter({
    passes,
    failingStreak: FailingStreak,
    retries,
    wasHealthy: passes.length >= RESULTS_KEPT && Status !== 'starting',
  })
}

function checksOf({ details }: RunningService) {
  return details.State.Health?.Log ?? []
}

/** Runs the container's own healthcheck command; resolves to whether it passes. */
async function passesCheck(api: RunningServices['api'], { details }: RunningService): Promise<boolean> {
  const [, command] = details.Config.Healthcheck?.Test ?? []
  if (command === undefined) {
    return true
  }
  const execution = await api.execute(details.Id, { command: ['sh', '-c', command] })
  execution.stream.resume().end()
  await once(execution.stream, 'close')
  return (await execution.exitCode()) === 0
}

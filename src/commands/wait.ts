import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { parseDurationMs } from '../internal/duration.ts'
import { readProject } from '../read-project.ts'
import type { Host } from './command.ts'
import { observeServices } from './observe-services.ts'

const POLL_MS = 250

/**
 * Waits until every service is healthy, regardless of how it was started.
 *
 * @throws InfraError `INFRA_SERVICE_UNHEALTHY` after the timeout, with the state of each service that is not healthy
 */
export async function wait(host: Host, timeout: string, clock: Clock): Promise<string> {
  const { environment, directory } = host
  const spec = await readProject({ directory, environment })
  const endMs = clock.now() + parseDurationMs(timeout, '--timeout')
  for (;;) {
    const statuses = await observeServices(environment, spec)
    const others = statuses.filter(({ state }) => state !== 'healthy')
    if (others.length === 0) {
      return `${statuses.map(({ service }) => service).join(', ')} healthy`
    }
    if (clock.now() >= endMs) {
      throw new InfraError('INFRA_SERVICE_UNHEALTHY', {
        problem: `Cannot continue: after ${timeout} ${others.map(({ service, state }) => `${service} is ${state}`).join(', ')}`,
        remedy: 'See vitest-infra status; start the stack with vitest-infra up, or raise --timeout',
      })
    }
    await clock.sleep(POLL_MS)
  }
}

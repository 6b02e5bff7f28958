import { InfraError } from '../errors.ts'
import {
  findRunningServices,
  type RunningService,
  type RunningServices,
} from '../providers/docker/reuse/running-services.ts'
import { readProject } from '../read-project.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import type { Host } from './command.ts'

/** The running stack of a project, and the project's options. */
export interface FoundStack extends RunningServices {
  readonly spec: ResolvedSpec
}

/**
 * Finds the stack that `up`, or a run with `keepAlive`, left running.
 *
 * @throws InfraError `INFRA_NOT_UP` if a service is not running, or if the provider never leaves services running. With
 * `only`, no other service is checked.
 */
export async function findStack({ environment, directory }: Host, only?: string): Promise<FoundStack> {
  const spec = await readProject({ directory, environment })
  assertStaysUp(spec)
  const running = await findRunningServices(environment, spec.root)
  const names = servicesOf(spec).map(({ service }) => service.name)
  if (only !== undefined && !names.includes(only)) {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot find service "${only}": this project has ${names.join(', ') || 'none'}`,
      remedy: 'Name one of those, or add it to services',
      service: only,
    })
  }
  const services = (only === undefined ? names : [only]).map((name) => findService(running, name))
  return { spec, api: running.api, services }
}

/** The reason why a provider leaves no services running, by provider. */
const WHY_NOT = {
  embedded: 'local processes only run during a test run',
  external: 'on an external server, a run has databases only while it lasts',
}

function assertStaysUp({ provider }: ResolvedSpec): void {
  if (provider === 'embedded' || provider === 'external') {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot find a running stack with the provider "${provider}": ${WHY_NOT[provider]}`,
      remedy: 'Start a program with a temporary stack: vitest-infra run -- <program>',
      provider,
    })
  }
}

/**
 * Returns a running service by its name.
 *
 * @throws InfraError `INFRA_NOT_UP` if the service is not running
 */
export function findService({ services }: Pick<RunningServices, 'services'>, name: string): RunningService {
  const found = services.find((service) => service.name === name)
  if (!found) {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot find service "${name}" of this project: it is not running`,
      remedy: 'Start the stack: vitest-infra up',
      service: name,
    })
  }
  return found
}

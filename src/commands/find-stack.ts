import { InfraError } from '../errors.ts'
import {
  findRunningServices,
  type RunningService,
  type RunningServices,
} from '../providers/docker/reuse/running-services.ts'
import { readProject } from '../read-project.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import type { Host } from './command.ts'

/** The stack of a project that is up, and what the project says of it. */
export interface FoundStack extends RunningServices {
  readonly spec: ResolvedSpec
}

/**
 * Finds the stack that `up`, or a run with `keepAlive`, has left up.
 *
 * @throws InfraError `INFRA_NOT_UP` where one of its services, or the one that is asked for, is not, or where the provider
 *   leaves none up
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

/** Why a provider leaves nothing up. */
const WHY_NOT = {
  embedded: 'local processes are up while a run is, and no longer',
  external: 'on servers that are there already, a run has databases of its own while it lasts, and no longer',
}

function assertStaysUp({ provider }: ResolvedSpec): void {
  if (provider === 'embedded' || provider === 'external') {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot find a stack that is up with the provider "${provider}": ${WHY_NOT[provider]}`,
      remedy: 'Give a program what a run would have: vitest-infra run -- <program>',
      provider,
    })
  }
}

/** @throws InfraError `INFRA_NOT_UP` where it is not up */
export function findService({ services }: Pick<RunningServices, 'services'>, name: string): RunningService {
  const found = services.find((service) => service.name === name)
  if (!found) {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot find service "${name}" of this project: it is not up`,
      remedy: 'Start the stack: vitest-infra up',
      service: name,
    })
  }
  return found
}

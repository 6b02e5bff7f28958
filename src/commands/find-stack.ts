import { InfraError } from '../errors.ts'
import { findKeptServices, type KeptService, type KeptServices } from '../providers/kept-services.ts'
import { readProject } from '../read-project.ts'
import { type ResolvedSpec, servicesOf } from '../spec/resolve-spec.ts'
import type { Host } from './command.ts'

/** The stack of a project that is up, and what the project says of it. */
export interface FoundStack extends KeptServices {
  readonly spec: ResolvedSpec
}

/**
 * Finds the stack that `up`, or a run with `keepAlive`, has left up.
 *
 * @throws InfraError `INFRA_NOT_UP` where one of its services is not
 */
export async function findStack({ environment, directory }: Host): Promise<FoundStack> {
  const spec = await readProject({ directory, options: {}, environment })
  const kept = await findKeptServices(environment, spec.root)
  servicesOf(spec).forEach(({ service }) => findService(kept, service.name))
  return { spec, ...kept }
}

/** @throws InfraError `INFRA_NOT_UP` where it is not up */
export function findService({ services }: Pick<KeptServices, 'services'>, name: string): KeptService {
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

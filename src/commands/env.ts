import { messageOf, InfraError } from '../errors.ts'
import { renderVariables, type VariableFormat } from '../environment/render-variables.ts'
import { withTimeLimit } from '../internal/time-limit.ts'
import { defineServices } from '../services/define-services.ts'
import type { ServiceDefinition } from '../services/service.ts'
import { type DescribedService, describeEnvironment, describeStack } from '../stack/stack-facts.ts'
import type { Host } from './command.ts'
import { findService, findStack, type FoundStack } from './find-stack.ts'

const PROBE_TIMEOUT_MS = 5_000

/** Returns the variables of the running stack in a format for other programs. */
export async function env(host: Host, format: VariableFormat): Promise<string> {
  const stack = await findStack(host)
  const services = await Promise.all(defineServices(stack.spec).map((definition) => probeService(stack, definition)))
  return renderVariables(describeEnvironment(stack.spec, describeStack(stack.spec, 'docker', services)), format)
}

/** Sends a real query to the server, so that only an address that responds is printed. */
async function probeService(stack: FoundStack, { service, probe }: ServiceDefinition): Promise<DescribedService> {
  const { addressOf, container } = findService(stack, service.name)
  const address = addressOf(service.defaultPort)
  try {
    const version = await withTimeLimit(PROBE_TIMEOUT_MS, (signal) => probe(address, signal))
    return { name: service.name, address, version, state: 'healthy' }
  } catch (error) {
    throw new InfraError('INFRA_NOT_UP', {
      problem: `Cannot use ${container} on ${address.host}:${address.port}: ${messageOf(error)}`,
      remedy: 'If options have changed since it was started: vitest-infra down, then vitest-infra up',
      service: service.name,
      cause: error,
    })
  }
}

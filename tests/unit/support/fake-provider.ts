import type { Provider } from '../../../src/providers/provider.ts'
import type { ServiceDefinition, StartedService } from '../../../src/services/service.ts'
import { DEFAULT_SERVICES } from '../../../src/config/infra-service.ts'

/** A healthy server, except for what the test overrides. */
export function createStartedService(given: Partial<StartedService> = {}): StartedService {
  return {
    address: { host: 'localhost', port: 49_153 },
    label: 'vitest-infra-postgres-1',
    instances: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    runHealthcheck: async () => ({ passed: true, output: 'accepting connections\n' }),
    status: async () => ({ running: true }),
    logTail: async () => 'ready\n',
    stop: async () => {},
    ...given,
  }
}

/** A provider whose `start()` the test defines. */
export function createProvider(start: Provider['start']): Provider {
  return { name: 'docker', description: 'a provider of the test', start, sweep: async () => {} }
}

/** A built-in service whose query succeeds, except for what the test overrides. */
export function createDefinition(
  name: 'postgres' | 'redis',
  given: Partial<ServiceDefinition> = {},
): ServiceDefinition {
  return {
    service: DEFAULT_SERVICES[name],
    hostPort: undefined,
    environment: {},
    command: [`${name}-server`, '--quiet'],
    probe: async () => '18.6',
    ...given,
  }
}

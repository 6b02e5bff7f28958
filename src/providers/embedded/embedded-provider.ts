import { InfraError, messageOf } from '../../errors.ts'
import { assertPortFree } from '../port-holder.ts'
import type { Provider } from '../provider.ts'
import type { EmbeddedHome } from './embedded-home.ts'
import { launchService } from './launch-service.ts'
import { SharedSupervisor } from './supervisor.ts'

/**
 * Creates the provider that runs services as local processes. `reason` explains in the provider's description why it
 * was chosen.
 */
export function createEmbeddedProvider(home: EmbeddedHome, reason: string): Provider {
  const { place, childEnvironment, description } = home
  const supervisors = new SharedSupervisor(place.folder, childEnvironment)
  return {
    name: 'embedded',
    description: `Local processes, data ${place.isMemory ? 'in memory' : 'on disk'}: ${description} (${reason})`,
    // A supervisor removes leftovers when it starts, because only it can find out which processes are running.
    async sweep() {},
    async start(definition, { signal }) {
      const { name, envPortVar } = definition.service
      if (definition.hostPort !== undefined) {
        await assertPortFree({ host: '127.0.0.1', port: definition.hostPort, service: name, variable: envPortVar })
      }
      const opening = supervisors.acquire()
      try {
        const supervisor = await opening
        return await launchService(definition, { supervisor, home, signal, onStopped: () => supervisors.release() })
      } catch (error) {
        await supervisors.release()
        signal.throwIfAborted()
        throw error instanceof InfraError ? error : refused(name, error)
      }
    },
  }
}

function refused(service: string, error: unknown): InfraError {
  return new InfraError('INFRA_SERVICE_START', {
    problem: `Cannot start service "${service}" as a local process: ${messageOf(error).trimEnd()}`,
    remedy: `Correct what it names, or set VITEST_INFRA_PROVIDER=docker`,
    service,
    provider: 'embedded',
    cause: error,
  })
}

import type { StartedService } from '../provider.ts'
import { ContainerEnding } from './container-ending.ts'
import type { Container, Dockerode } from './dockerode-types.ts'
import { Lifeline } from './lifeline.ts'

/** A container, and what holds and watches it from here. */
export interface Tied {
  readonly container: Container
  readonly lifeline: Lifeline
  readonly ending: ContainerEnding
}

/** Ties a container that was created and not started yet to this process. */
export async function tie(dockerode: Dockerode, id: string): Promise<Tied> {
  const container = dockerode.getContainer(id)
  const [lifeline, ending] = await Promise.all([Lifeline.tie(container), ContainerEnding.watch(dockerode, id)])
  return { container, lifeline, ending }
}

/** A service whose container was gone before it could be looked at; what is left of it is what it printed. */
export function endedService(label: string, host: string, { lifeline, ending }: Tied): StartedService {
  return {
    address: { host, port: 0 },
    label,
    siblings: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    runHealthcheck: async () => ({ passed: false, output: 'its container is gone' }),
    status: () => ending.status(),
    logTail: async (count) => lifeline.output.tail(count),
    stop: async () => ending.close(),
  }
}

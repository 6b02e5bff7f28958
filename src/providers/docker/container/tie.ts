import type { Duplex } from 'node:stream'
import { ContainerExit } from './container-exit.ts'
import { ContainerOutput } from './container-output.ts'
import type { Container, Dockerode } from '../engine/dockerode-types.ts'
import { Lifeline, type LifelineOptions } from './lifeline.ts'
import type { StartedService } from '../../../services/service.ts'

/** A container with this process's connections to it. */
export interface Tied {
  readonly container: Container
  /** What it prints. */
  readonly output: ContainerOutput
  readonly lifeline: Lifeline
  readonly ending: ContainerExit
}

/** The engine closes the input of a container when the one connection that holds it open ends. */
export const OPEN_INPUT = { OpenStdin: true, StdinOnce: true, AttachStdin: true }

/** Ties a container with a tied entrypoint to this process before it is started, so that it never runs untied. */
export async function tie(dockerode: Dockerode, options: LifelineOptions): Promise<Tied> {
  const container = dockerode.getContainer(options.id)
  const attaching = attach(container)
  const watching = ContainerExit.watch(dockerode, options.id)
  const [stream, ending] = await Promise.all([attaching, watching]).catch((error: unknown) => {
    // The connection of the other one would hold this process.
    void attaching.then((open) => open.destroy()).catch(() => {})
    void watching.then((open) => open.close()).catch(() => {})
    throw error
  })
  return { container, output: new ContainerOutput(stream), lifeline: new Lifeline(stream, options), ending }
}

/** A service whose container exited and was removed before it could be inspected. Only its output is left. */
export function endedService(label: string, host: string, { output, ending }: Tied): StartedService {
  return {
    address: { host, port: 0 },
    label,
    container: label,
    instances: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    runHealthcheck: async () => ({ passed: false, output: 'its container is gone' }),
    status: () => ending.status(),
    logTail: async (count) => output.tail(count),
    stop: async () => ending.close(),
  }
}

/** Holds the input of a container open; what it prints comes along. */
export async function attach(container: Container, abortSignal?: AbortSignal): Promise<Duplex> {
  const streams = { stream: true, stdin: true, stdout: true, stderr: true }
  const stream = await container.attach({ hijack: true, ...streams, ...(abortSignal && { abortSignal }) })
  return stream as Duplex
}

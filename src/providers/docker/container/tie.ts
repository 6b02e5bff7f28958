import type { Readable } from 'node:stream'
import { onChunks } from '../engine/demultiplex.ts'
import { ContainerExit } from './container-exit.ts'
import { Lifeline, type LifelineOptions } from './lifeline.ts'
import type { StartedService } from '../../../services/service.ts'

const RETAINED_BYTES = 256 * 1024

/** A container, and the connections between it and this process. */
export interface Tied {
  readonly id: string
  readonly output: ContainerOutput
  readonly lifeline: Lifeline
  readonly exit: ContainerExit
}

/** Settings with which the engine closes a container's input when the first connection that holds it open ends. */
export const OPEN_INPUT = { OpenStdin: true, StdinOnce: true, AttachStdin: true }

/**
 * Ties a container with a tied entrypoint to this process. Call it before the start, so that the container never runs
 * untied.
 */
export async function tie(options: LifelineOptions): Promise<Tied> {
  const { api, id } = options
  const attaching = api.attach(id)
  const watching = ContainerExit.watch(api, id)
  const [stream, exit] = await Promise.all([attaching, watching]).catch((error: unknown) => {
    // Close the other connection, which would keep this process alive.
    void attaching.then((open) => open.destroy()).catch(() => {})
    void watching.then((open) => open.close()).catch(() => {})
    throw error
  })
  return { id, output: new ContainerOutput(stream), lifeline: new Lifeline(stream, options), exit }
}

/** Returns a service whose container was removed before it could be inspected; only its output is left. */
export function exitedService(label: string, host: string, { output, exit }: Tied): StartedService {
  return {
    address: { host, port: 0 },
    label,
    container: label,
    instances: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    runHealthcheck: async () => ({ passed: false, output: 'its container is gone' }),
    status: () => exit.status(),
    logTail: async (count) => output.tail(count),
    stop: async () => exit.close(),
  }
}

/**
 * The last output of a container. It is stored in this process, because the engine deletes the log when the container
 * exits.
 */
class ContainerOutput {
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(stream: Readable) {
    onChunks(stream, (chunk) => this.#keep(chunk))
  }

  /** Returns the last `count` lines. */
  tail(count: number): string {
    const lines = Buffer.concat(this.#chunks).toString('utf8').trimEnd().split('\n')
    return lines.slice(-count).join('\n')
  }

  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#bytes - (this.#chunks[0]?.length ?? 0) >= RETAINED_BYTES) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0
    }
  }
}

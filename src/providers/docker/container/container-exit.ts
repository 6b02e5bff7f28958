import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import type { Dockerode } from '../engine/dockerode-types.ts'
import type { ServerExit } from '../../../services/service.ts'

const PATIENCE_MS = 2_000

interface EngineEvent {
  readonly Action?: string
  readonly Actor?: { readonly Attributes?: { readonly exitCode?: string } }
}

/** How a container exited, from the engine's events: the container is removed on exit and cannot be inspected any more. */
export class ContainerExit {
  readonly #events: IncomingMessage
  readonly #ended = Promise.withResolvers<ServerExit>()
  #outOfMemory = false

  private constructor(events: IncomingMessage) {
    this.#events = events
    events.socket.unref()
    // A connection that breaks is an error of both.
    events.on('error', () => {})
    createInterface(events)
      .on('error', () => {})
      .on('line', (line) => this.#note(readEvent(line)))
  }

  /** For a container that was not started yet. */
  static async watch(dockerode: Dockerode, id: string): Promise<ContainerExit> {
    const filters = { container: [id], event: ['die', 'oom'] }
    return new ContainerExit((await dockerode.getEvents({ filters })) as IncomingMessage)
  }

  /** Resolves when it has exited, if the engine reported it. */
  get ended(): Promise<ServerExit> {
    return this.#ended.promise
  }

  /** How it ended; to be asked of a container that does not run. */
  async status(): Promise<ServerExit> {
    const timeout = Promise.withResolvers<ServerExit>()
    const unknown: ServerExit = { running: false, exitCode: undefined, outOfMemory: false }
    const timer = setTimeout(() => timeout.resolve(unknown), PATIENCE_MS)
    return Promise.race([this.#ended.promise, timeout.promise]).finally(() => clearTimeout(timer))
  }

  close(): void {
    this.#events.destroy()
  }

  #note({ Action, Actor }: EngineEvent): void {
    if (Action === 'oom') {
      this.#outOfMemory = true
    } else if (Action !== undefined) {
      const exitCode = Number(Actor?.Attributes?.exitCode)
      this.#ended.resolve({ running: false, exitCode, outOfMemory: this.#outOfMemory })
    }
  }
}

/** A connection that breaks may break in the middle of an event. */
function readEvent(line: string): EngineEvent {
  try {
    return JSON.parse(line) as EngineEvent
  } catch {
    return {}
  }
}

import type { IncomingMessage } from 'node:http'
import type { ServerExit } from '../../../services/service.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { readJsonLines } from '../engine/json-lines.ts'

const EVENT_TIMEOUT_MS = 2_000

interface EngineEvent {
  readonly Action?: string
  readonly Actor?: { readonly Attributes?: { readonly exitCode?: string } }
}

/**
 * Watches the engine's events for the exit of a container. The engine removes the container on exit, so it cannot be
 * inspected afterwards.
 */
export class ContainerExit {
  readonly #events: IncomingMessage
  readonly #exited = Promise.withResolvers<ServerExit>()
  #outOfMemory = false

  private constructor(events: IncomingMessage) {
    this.#events = events
    events.socket.unref()
    void this.#follow()
  }

  /** Starts to watch a container. Call it before the container is started. */
  static async watch(api: EngineApi, id: string): Promise<ContainerExit> {
    return new ContainerExit(await api.watchEvents(id, ['die', 'oom']))
  }

  /** Resolves when the container has exited; never resolves if the connection to the engine breaks first. */
  get exited(): Promise<ServerExit> {
    return this.#exited.promise
  }

  /**
   * Resolves to how a stopped container exited. The details are missing if the engine does not report them within 2 s.
   */
  async status(): Promise<ServerExit> {
    const timeout = Promise.withResolvers<ServerExit>()
    const unknown: ServerExit = { running: false, exitCode: undefined, outOfMemory: false }
    const timer = setTimeout(() => timeout.resolve(unknown), EVENT_TIMEOUT_MS)
    return Promise.race([this.#exited.promise, timeout.promise]).finally(() => clearTimeout(timer))
  }

  close(): void {
    this.#events.destroy()
  }

  /**
   * Reads the events until the connection breaks. No report is necessary then, because the lifeline also notices the
   * loss of the container.
   */
  async #follow(): Promise<void> {
    try {
      for await (const event of readJsonLines<EngineEvent>(this.#events)) {
        this.#note(event)
      }
    } catch {}
  }

  #note({ Action, Actor }: EngineEvent): void {
    if (Action === 'oom') {
      this.#outOfMemory = true
    } else if (Action !== undefined) {
      const exitCode = Number(Actor?.Attributes?.exitCode)
      this.#exited.resolve({ running: false, exitCode, outOfMemory: this.#outOfMemory })
    }
  }
}

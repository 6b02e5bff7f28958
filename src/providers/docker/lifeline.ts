import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ContainerOutput } from './container-output.ts'
import type { Container } from './dockerode-types.ts'
import { FAREWELL, holderCommand } from './lifeline-script.ts'
import { isGone } from './remove-container.ts'

const RETRY_MS = 500

/**
 * Ties a container to this process: its input is held open from here, and when this process ends, in whatever way, so
 * does the input, and then the server. A connection that breaks while we live is made anew within the grace period.
 */
export class Lifeline {
  /** What the container prints. */
  readonly output: ContainerOutput
  readonly #container: Container
  #stream: Duplex
  #holders = 1
  #ended = false

  private constructor(container: Container, stream: Duplex) {
    this.#container = container
    this.#stream = stream
    this.output = new ContainerOutput(stream)
    this.#hold(stream)
  }

  /** For a container with a tied entrypoint that was created and not started yet, so that it never runs untied. */
  static async tie(container: Container): Promise<Lifeline> {
    const stream = await container.attach({ hijack: true, stream: true, stdin: true, stdout: true, stderr: true })
    return new Lifeline(container, stream as Duplex)
  }

  /** Tells the server to end at once. */
  end(): void {
    this.#ended = true
    this.#stream.end(FAREWELL)
  }

  #hold(stream: Duplex): void {
    this.#stream = stream
    // Nothing that keeps this process alive: its end is what we are here for.
    if ('unref' in stream && typeof stream.unref === 'function') {
      stream.unref()
    }
    stream.on('error', () => {}).on('close', () => void this.#takeOver())
    stream.resume()
  }

  /** The old connection is gone, and with it the input of the holder in the container; a new holder takes over. */
  async #takeOver(): Promise<void> {
    while (!this.#ended) {
      try {
        this.#hold(await this.#open(`${(this.#holders += 1)}`))
        return this.#ended ? this.end() : undefined
      } catch (error) {
        if (isGone(error)) {
          return
        }
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }

  async #open(token: string): Promise<Duplex> {
    const exec = await this.#container.exec({ Cmd: holderCommand(token), AttachStdin: true, AttachStdout: true })
    return exec.start({ hijack: true, stdin: true })
  }
}

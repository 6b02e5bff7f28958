import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { withTimeLimit } from '../../../internal/time-limit.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { isGone } from '../engine/engine-errors.ts'
import { freeBytesOf } from './container-check.ts'
import { type Hold, holderCommand, DETACHED, WORDS } from './lifeline-script.ts'

const RETRY_MS = 500

/** The holder's answer is two lines of a shell script, which any usable machine prints sooner. */
const ANSWER_TIMEOUT_MS = 5_000

/** Upper bound for the acknowledgement of `detach`. */
const DETACH_TIMEOUT_MS = 100

export interface LifelineOptions {
  readonly api: EngineApi
  /** Id of the container. */
  readonly id: string
  readonly hold: Hold
}

/** A container that was up and now belongs to this run. */
export interface Attachment {
  readonly lifeline: Lifeline
  /** The note of the run before; empty if there is none. */
  readonly note: string
  /** Free space where the server keeps its data, in bytes; undefined if unknown. */
  readonly freeBytes: number | undefined
}

/**
 * Ties a container to this process, which holds the container's input open. However this process ends, the input closes,
 * and the server ends after its grace period. If only the connection breaks, it is opened again within that period.
 */
export class Lifeline {
  readonly #options: LifelineOptions
  #stream: Duplex
  #holders = 1
  readonly #detached = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  readonly #ended = new AbortController()

  /** `stream` is the input of a container with a tied entrypoint, or of another holder in it. */
  constructor(stream: Duplex, options: LifelineOptions) {
    this.#options = options
    this.#stream = stream
    this.#hold(stream)
  }

  /** Attaches to a container that is up, with data in `folder`; undefined if another run uses it. */
  static async attach(
    options: LifelineOptions,
    { folder, onWaiting }: { readonly folder: string; readonly onWaiting?: (() => void) | undefined },
  ): Promise<Attachment | undefined> {
    const { api, id, hold } = options
    const command = holderCommand(hold.run, hold, folder)
    const stream = await withTimeLimit(ANSWER_TIMEOUT_MS, (signal) => api.exec(id, { command, signal, onWaiting }))
    const answer = await withTimeLimit(ANSWER_TIMEOUT_MS, () => readAnswer(stream)).catch(() => undefined)
    if (!answer) {
      stream.destroy()
      return undefined
    }
    const [note, space] = answer
    return { lifeline: new Lifeline(stream, options), note, freeBytes: freeBytesOf(space) }
  }

  /** Resolves if the container is removed and this run did not do it. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Makes the server exit at once. */
  end(): void {
    this.#ended.abort()
    this.#stream.end(WORDS.end)
  }

  /** Leaves the server to the next run; it stays up for its grace period. */
  async detach(): Promise<void> {
    this.#ended.abort()
    this.#stream.write(WORDS.detach)
    // The word may be lost if the connection ends right after it, so the holder confirms it.
    // The timer keeps this process alive, so it is cleared once the answer arrives.
    const answered = new AbortController()
    const timeout = sleep(DETACH_TIMEOUT_MS, undefined, { signal: answered.signal }).catch(() => {})
    await Promise.race([this.#detached.promise, timeout])
    answered.abort()
    this.#stream.end()
  }

  /** Stores a text for the next run. */
  note(text: string): void {
    this.#stream.write(WORDS.note(text))
  }

  #hold(stream: Duplex): void {
    this.#stream = stream
    // It must not keep this process alive: the end of this process is what it signals.
    if ('unref' in stream && typeof stream.unref === 'function') {
      stream.unref()
    }
    stream.on('close', () => void this.#takeOver())
    stream.resume()
    if (this.#options.hold.graceMs !== undefined) {
      onLines(stream, (line) => line === DETACHED && this.#detached.resolve())
    }
  }

  /** The connection broke, and with it the input of the holder in the container: starts a new holder. */
  async #takeOver(): Promise<void> {
    const { api, id, hold } = this.#options
    const { signal } = this.#ended
    while (!signal.aborted) {
      try {
        if (this.#holders > 1) {
          // Another run may use the container by now, possibly for good.
          await sleep(RETRY_MS, undefined, { ref: false })
        }
        this.#holders += 1
        this.#hold(await api.exec(id, { command: holderCommand(`${hold.run}${this.#holders}`, hold), signal }))
        return
      } catch (error) {
        if (isGone(error) && !(await this.#isRunning())) {
          this.#gone.resolve()
          return
        }
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }

  /** A paused container starts no program either, but it will be resumed. */
  async #isRunning(): Promise<boolean> {
    const { api, id } = this.#options
    return api.inspectContainer(id).then(
      (details) => details?.State.Running ?? false,
      () => true,
    )
  }
}

/** The two lines of a holder's answer; undefined if it does not answer. */
async function readAnswer(stream: Duplex): Promise<readonly [string, string] | undefined> {
  const lines: string[] = []
  const answered = Promise.withResolvers<void>()
  onLines(stream.on('close', answered.resolve), (line) => {
    lines.push(line)
    if (lines.length === 2) {
      answered.resolve()
    }
  })
  await answered.promise
  const [note, space] = lines
  return note === undefined || space === undefined ? undefined : [note, space]
}

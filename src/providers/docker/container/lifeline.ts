import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { DETACHED_LINE } from '../../../internal/names.ts'
import { withTimeLimit } from '../../../internal/time-limit.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { isGone } from '../engine/engine-errors.ts'
import { freeBytesOf } from './container-check.ts'
import { type Hold, holderCommand, WORDS } from './lifeline-script.ts'

const RETRY_MS = 500

/** Timeout for a holder's answer. The answer is two lines of a shell script, which any usable machine prints sooner. */
const ANSWER_TIMEOUT_MS = 5_000

/** Upper bound for the acknowledgement of `detach`. */
const DETACH_TIMEOUT_MS = 100

export interface LifelineOptions {
  readonly api: EngineApi
  /** Id of the container. */
  readonly id: string
  readonly hold: Hold
}

/** A running container to which this run has attached. */
export interface Attachment {
  readonly lifeline: Lifeline
  /** The note of the previous run; empty if there is none. */
  readonly note: string
  /** Free space where the server keeps its data, in bytes; undefined if unknown. */
  readonly freeBytes: number | undefined
}

/**
 * Ties a container to this process, which holds the container's input open. However this process ends, the input
 * closes, and the server ends after its grace period. If only the connection breaks, this class reopens it within that
 * period.
 */
export class Lifeline {
  readonly #options: LifelineOptions
  #stream: Duplex
  #holders = 1
  readonly #detached = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  readonly #ended = new AbortController()

  /** @param stream the input of a container with a tied entrypoint, or of another holder in it */
  constructor(stream: Duplex, options: LifelineOptions) {
    this.#options = options
    this.#stream = stream
    this.#hold(stream)
  }

  /** Attaches to a running container with data in `folder`. Resolves to undefined if another run uses it. */
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

  /** Resolves when the container has been removed, unless this run removed it. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Makes the server exit at once. */
  end(): void {
    this.#ended.abort()
    this.#stream.end(WORDS.end)
  }

  /** Releases the server for the next run. The server stays up for its grace period. */
  async detach(): Promise<void> {
    this.#ended.abort()
    this.#stream.write(WORDS.detach)
    // The word may be lost if the connection ends right after it, so the holder confirms it.
    // The timer keeps this process alive, so it is cleared once the confirmation arrives.
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
    // The stream must not keep this process alive, because the holder has to notice the end of this process.
    if ('unref' in stream && typeof stream.unref === 'function') {
      stream.unref()
    }
    stream.on('close', () => void this.#takeOver())
    stream.resume()
    if (this.#options.hold.graceMs !== undefined) {
      onLines(stream, (line) => line === DETACHED_LINE && this.#detached.resolve())
    }
  }

  /**
   * Starts a new holder after the connection has broken, because the input of the current holder has then ended, too.
   */
  async #takeOver(): Promise<void> {
    const { api, id, hold } = this.#options
    const { signal } = this.#ended
    while (!signal.aborted) {
      try {
        if (this.#holders > 1) {
          // Another run may use the container by now, possibly permanently. Every new holder then exits at once, so
          // pause between attempts.
          await sleep(RETRY_MS, undefined, { ref: false })
        }
        this.#holders += 1
        this.#hold(await api.exec(id, { command: holderCommand(`${hold.run}${this.#holders}`, hold), signal }))
        return
      } catch (error) {
        // A paused container cannot start a holder either, but it will be resumed.
        if (isGone(error) && !(await api.isRunning(id))) {
          this.#gone.resolve()
          return
        }
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }
}

/** Resolves to the two lines of a holder's answer; undefined if it does not answer. */
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

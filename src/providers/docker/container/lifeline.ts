import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { withTimeLimit } from '../../../internal/time-limit.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { freeBytesOf } from './free-bytes.ts'
import { type Hold, holderCommand, LEFT, WORDS } from './lifeline-script.ts'
import { isGone } from './remove-container.ts'

const RETRY_MS = 500

/** A shell that says two lines; longer than on any machine that could still run tests. */
const ANSWER_LIMIT_MS = 5_000

/** Upper bound for the acknowledgement of `leave`. */
const LEAVE_LIMIT_MS = 100

export interface LifelineOptions {
  readonly api: EngineApi
  /** The container's. */
  readonly id: string
  readonly hold: Hold
}

/** The answer to a visitor. */
export interface Welcome {
  readonly lifeline: Lifeline
  /** What the run before has noted; empty if nothing. */
  readonly note: string
  /** Room where the server keeps its data, in bytes; undefined where that cannot be known. */
  readonly freeBytes: number | undefined
}

/**
 * Ties a container to this process: its input is held open from here, and when this process ends, in whatever way, so
 * does the input, and then the server, once the grace period is over. A connection that breaks while we live is made anew
 * within it.
 */
export class Lifeline {
  readonly #options: LifelineOptions
  #stream: Duplex
  #holders = 1
  readonly #left = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  readonly #ended = new AbortController()

  /** For a stream that leads to the input of a container with a tied entrypoint, or of one more holder. */
  constructor(stream: Duplex, options: LifelineOptions) {
    this.#options = options
    this.#stream = stream
    this.#hold(stream)
  }

  /** For a container that is up already, with data in `folder`; undefined where another run has it. */
  static async visit(
    options: LifelineOptions,
    { folder, onWaiting }: { readonly folder: string; readonly onWaiting?: (() => void) | undefined },
  ): Promise<Welcome | undefined> {
    const { api, id, hold } = options
    const command = holderCommand(hold.run, hold, folder)
    const stream = await withTimeLimit(ANSWER_LIMIT_MS, (signal) => api.exec(id, { command, signal, onWaiting }))
    const answer = await withTimeLimit(ANSWER_LIMIT_MS, () => readAnswer(stream)).catch(() => undefined)
    if (!answer) {
      stream.destroy()
      return undefined
    }
    const [note, room] = answer
    return { lifeline: new Lifeline(stream, options), note, freeBytes: freeBytesOf(room) }
  }

  /** Resolves when the container is gone without having been stopped by this run. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Makes the server exit at once. */
  end(): void {
    this.#ended.abort()
    this.#stream.end(WORDS.end)
  }

  /** Lets go of the server, which stays for the next run as long as its grace period allows. */
  async leave(): Promise<void> {
    this.#ended.abort()
    this.#stream.write(WORDS.leave)
    // A word that is followed by the end of the connection may be lost.
    // The timer keeps this process alive, so it is cleared as soon as the answer is there.
    const answered = new AbortController()
    const patience = sleep(LEAVE_LIMIT_MS, undefined, { signal: answered.signal }).catch(() => {})
    await Promise.race([this.#left.promise, patience])
    answered.abort()
    this.#stream.end()
  }

  /** Hands this text to the next run. */
  note(text: string): void {
    this.#stream.write(WORDS.note(text))
  }

  #hold(stream: Duplex): void {
    this.#stream = stream
    // Nothing that keeps this process alive: its end is what we are here for.
    if ('unref' in stream && typeof stream.unref === 'function') {
      stream.unref()
    }
    stream.on('error', () => {}).on('close', () => void this.#takeOver())
    stream.resume()
    if (this.#options.hold.graceMs !== undefined) {
      onLines(stream, (line) => line === LEFT && this.#left.resolve())
    }
  }

  /** The old connection is gone, and with it the input of the holder in the container; a new holder takes over. */
  async #takeOver(): Promise<void> {
    const { api, id, hold } = this.#options
    const { signal } = this.#ended
    while (!signal.aborted) {
      try {
        if (this.#holders > 1) {
          // It may be that another run has it by now, and always will.
          await sleep(RETRY_MS, undefined, { ref: false })
        }
        this.#holders += 1
        this.#hold(await api.exec(id, { command: holderCommand(`${hold.run}${this.#holders}`, hold), signal }))
        return
      } catch (error) {
        if (isGone(error) && !(await this.#isThere())) {
          this.#gone.resolve()
          return
        }
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }

  /** A paused container starts no program either, but will be resumed. */
  async #isThere(): Promise<boolean> {
    const { api, id } = this.#options
    return api.inspectContainer(id).then(
      (details) => details?.State.Running ?? false,
      () => true,
    )
  }
}

/** The two lines of a holder's answer; undefined where there is none. */
async function readAnswer(stream: Duplex): Promise<readonly [string, string] | undefined> {
  const lines: string[] = []
  const answered = Promise.withResolvers<void>()
  onLines(stream.on('error', answered.resolve).on('close', answered.resolve), (line) => {
    lines.push(line)
    if (lines.length === 2) {
      answered.resolve()
    }
  })
  await answered.promise
  const [note, room] = lines
  return note === undefined || room === undefined ? undefined : [note, room]
}

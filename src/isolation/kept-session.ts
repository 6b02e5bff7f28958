import type { Socket } from 'node:net'
import { listen, terminate } from './session-messages.ts'

/** What a session keeps that nothing takes back: a variable of one's own, a library, a connection to elsewhere. */
const LASTING = /\bset\s+(?:(?:session|local)\s+)?"?\w+"?\s*\.|set_config|track_counts|pg_stat_reset|\bload\s+'|dblink/i

/** A session that nobody uses at the moment. */
export interface Parked {
  readonly socket: Socket
  /** How its first client began. */
  readonly startup: Buffer
  /** What the server answered, without the questions for the password. */
  readonly greeting: Buffer
}

/**
 * A session on the server that outlives its client: the one who connects next with the same startup message is greeted
 * with what the server said to the first, and goes on in it. Each has a client object of its own, over a `SessionStream`.
 */
export class KeptSession {
  #parked: Parked | undefined
  #forget: (() => void) | undefined
  #isTainted = false
  #isWatched = true

  /** Whether a client has left the session as one that can be used again. */
  get isParked(): boolean {
    return this.#parked !== undefined
  }

  /** Ends the session; whoever is in it is not cut off, but will be the last. */
  close(): void {
    this.#isTainted = true
    this.take()?.socket.end(terminate())
  }

  /** Runs statements of ours on it, which leave nothing. */
  async withoutLook<T>(work: () => Promise<T>): Promise<T> {
    this.#isWatched = false
    try {
      return await work()
    } finally {
      this.#isWatched = true
    }
  }

  /** Told of all that clients send. */
  inspect(message: Buffer): void {
    this.#isTainted ||= this.#isWatched && LASTING.test(message.toString('latin1'))
  }

  take(): Parked | undefined {
    const parked = this.#parked
    this.#parked = undefined
    this.#forget?.()
    return parked && !parked.socket.destroyed ? parked : undefined
  }

  /** Returns whether the session is kept. */
  park(parked: Parked): boolean {
    if (this.#isTainted || this.#parked) {
      return false
    }
    this.#parked = parked
    const { socket } = parked
    // Whatever comes while nobody asked means that something of the last client goes on in it.
    const leave = () => {
      this.#parked = undefined
      socket.destroy()
    }
    this.#forget = listen(socket, { data: leave, error: leave, close: leave })
    socket.unref().resume()
    return true
  }
}

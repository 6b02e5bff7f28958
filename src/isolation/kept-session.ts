import { listen, type Outcome, outcomesOf, query, readUntilReady, terminate } from './session-messages.ts'
import { type SessionKeeper, SessionSocket } from './session-socket.ts'

/** What a session keeps that nothing takes back: a variable of one's own, a library, a connection to elsewhere. */
const LASTING = /\bset\s+(?:(?:session|local)\s+)?"?\w+"?\s*\.|set_config|track_counts|pg_stat_reset|\bload\s+'|dblink/i

/**
 * A session on the server that outlives its client: whoever connects next, as the first did, is greeted with what the
 * server said to the first, and goes on in it. Each has a client object of its own; they share the socket.
 */
export class KeptSession implements SessionKeeper {
  #parked: SessionSocket | undefined
  #manner: string | undefined
  #forget: (() => void) | undefined
  #isTainted = false
  #isWatched = true

  /** Whether a client has left the session as one that can be used again. */
  get isParked(): boolean {
    return this.#parked !== undefined
  }

  get canPark(): boolean {
    return !this.#isTainted && !this.#parked
  }

  /** What a client is to connect over; another manner of connecting makes another session. */
  open(manner: string): SessionSocket {
    const parked = this.#take()
    if (parked && this.#manner === manner) {
      return parked.lend()
    }
    parked?.end(terminate())
    this.#manner = manner
    return new SessionSocket(this)
  }

  /** Ends the session; whoever is in it is not cut off, but will be the last. */
  close(): void {
    this.#isTainted = true
    this.#take()?.end(terminate())
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

  /**
   * Runs queries of ours on it while nobody is in it: all in one message, without a client, which takes longer than most
   * of them. Resolves to what came of the statements of each; to nothing, and the session is over, if one of them failed.
   */
  async ask(queries: readonly string[]): Promise<readonly (readonly Outcome[])[] | undefined> {
    const parked = this.#take()
    const answers = parked && (await this.withoutLook(() => converse(parked, queries)))
    if (answers && this.canPark) {
      this.park(parked)
      return answers
    }
    parked?.end(terminate())
    return undefined
  }

  inspect(message: Buffer): void {
    this.#isTainted ||= this.#isWatched && LASTING.test(message.toString('latin1'))
  }

  park(socket: SessionSocket): void {
    this.#parked = socket
    // Whatever comes while nobody asked means that something of the last client goes on in it.
    const leave = () => {
      this.#parked = undefined
      socket.destroy()
    }
    this.#forget = listen(socket, { data: leave, error: leave, close: leave })
    socket.unref().resume()
  }

  #take(): SessionSocket | undefined {
    const parked = this.#parked
    this.#parked = undefined
    this.#forget?.()
    return parked?.destroyed ? undefined : parked
  }
}

async function converse(
  socket: SessionSocket,
  queries: readonly string[],
): Promise<readonly (readonly Outcome[])[] | undefined> {
  const answered = Promise.withResolvers<readonly (readonly Outcome[])[] | undefined>()
  const answers: (readonly Outcome[] | undefined)[] = []
  let heard: Buffer = Buffer.alloc(0)
  const hear = (data: Buffer) => {
    heard = heard.length === 0 ? data : Buffer.concat([heard, data])
    for (let messages = readUntilReady(heard); messages; messages = readUntilReady(heard)) {
      heard = heard.subarray(messages.reduce((length, message) => length + message.length, 0))
      answers.push(outcomesOf(messages))
    }
    if (answers.length === queries.length) {
      answered.resolve(answers.every((answer) => answer !== undefined) ? answers : undefined)
    }
  }
  const leave = () => answered.resolve(undefined)
  const forget = listen(socket, { data: hear, error: leave, close: leave })
  socket.ref().write(Buffer.concat(queries.map(query)))
  try {
    return await answered.promise
  } finally {
    forget()
  }
}

import { Socket } from 'node:net'
import { greetingOf, isEncrypted, isIdle, isTerminate, readUntilReady } from './session-messages.ts'

/** Who decides what becomes of the session when a client leaves it. */
export interface SessionKeeper {
  /** Whether it can be used by another client. */
  readonly canPark: boolean
  /** Keeps the socket until then. */
  park(socket: SessionSocket): void
  /** Told of all that clients send. */
  inspect(message: Buffer): void
}

/**
 * What pg takes for a new socket, time and again: it says that it is connected, and answers the first message with what
 * the server said to the first client, while the session behind it stays the same.
 */
export class SessionSocket extends Socket {
  readonly #keeper: SessionKeeper
  /** Of every socket, not of a client. */
  readonly #own: ReadonlySet<unknown>
  #startup: Buffer | undefined
  #heard: Buffer = Buffer.alloc(0)
  /** What the server said to the first client, without the questions for the password. */
  #greeting: Buffer | undefined
  #isIdle = false
  #isLent = false

  constructor(keeper: SessionKeeper) {
    super()
    this.#keeper = keeper
    this.on('data', (data) => this.#hear(data))
    this.#own = new Set(this.eventNames().flatMap((name) => this.rawListeners(name)))
  }

  /** Has the next client begin. */
  lend(): this {
    this.#isLent = true
    return this.ref()
  }

  override connect(...args: unknown[]): this {
    if (this.#isLent) {
      // Not on a timer: the clocks of a test may stand still.
      queueMicrotask(() => this.emit('connect'))
      return this
    }
    super.connect(...(args as [number, string]))
    // It has put the one of Socket in the way of ours.
    Reflect.deleteProperty(this, 'write')
    return this
  }

  override write(...args: unknown[]): boolean {
    const [message] = args as [Buffer]
    if (this.#isLent) {
      this.#isLent = false
      return this.#greet(message)
    }
    if (isTerminate(message) && this.#leave()) {
      return true
    }
    if (this.#startup) {
      this.#keeper.inspect(message)
    }
    this.#startup ??= message
    return super.write(...(args as [Buffer]))
  }

  #greet(startup: Buffer): boolean {
    const greeting = this.#startup?.equals(startup) ? this.#greeting : undefined
    if (greeting) {
      queueMicrotask(() => this.emit('data', greeting))
    } else {
      this.destroy(new Error('The settings of pg have changed while it connected; connect again'))
    }
    return true
  }

  #hear(data: Buffer): void {
    this.#isIdle = isIdle(data)
    if (this.#greeting === undefined && !isEncrypted(this.#startup)) {
      this.#heard = Buffer.concat([this.#heard, data])
      const messages = readUntilReady(this.#heard)
      this.#greeting = messages && greetingOf(messages)
    }
  }

  /** Takes leave of a client, which hears that the connection is closed; returns whether the session is kept. */
  #leave(): boolean {
    if (!this.#greeting || !this.#isIdle || this.destroyed || !this.#keeper.canPark) {
      return false
    }
    const closed = this.#clientListeners('close')
    for (const name of this.eventNames()) {
      this.#clientListeners(name).forEach((listener) => this.off(name, listener))
    }
    this.#keeper.park(this)
    queueMicrotask(() => closed.forEach((listener) => Reflect.apply(listener, this, [false])))
    return true
  }

  #clientListeners(name: string | symbol): ((...args: unknown[]) => void)[] {
    const listeners = this.rawListeners(name) as ((...args: unknown[]) => void)[]
    return listeners.filter((listener) => !this.#own.has(listener))
  }
}

import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { KeptSession } from './kept-session.ts'
import {
  greetingOf,
  isEncrypted,
  isIdle,
  isTerminate,
  listen,
  readUntilReady,
  renameTo,
  terminate,
  withoutName,
} from './session-messages.ts'

/** What pg takes for its socket: a kept session if there is one, else a new one, which may be kept in turn. */
export class SessionStream extends Duplex {
  readonly #session: KeptSession
  #reach: (() => Socket) | undefined
  #socket: Socket | undefined
  #forget: (() => void) | undefined
  #startup: Buffer | undefined
  #heard: Buffer = Buffer.alloc(0)
  #greeting: Buffer | undefined
  #isIdle = false
  #isRenaming = false

  constructor(session: KeptSession) {
    super()
    this.#session = session
  }

  /** As a socket does; nothing is connected before the client says who it is. */
  connect(port: number, host: string): this {
    this.#reach = () => connect({ port, host, noDelay: true })
    // Not on a timer: the clocks of a test may stand still.
    void Promise.resolve().then(() => this.emit('connect'))
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    this.#socket?.ref()
    return this
  }

  unref(): this {
    this.#socket?.unref()
    return this
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#say(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.#say(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _read(): void {
    this.#socket?.resume()
  }

  override _final(done: () => void): void {
    if (this.#socket) {
      this.#socket.end()
    } else {
      this.destroy()
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket?.destroy()
    done(error)
  }

  #say(message: Buffer, done: () => void): void {
    if (this.#startup === undefined) {
      this.#begin(message)
      done()
    } else if (this.#socket === undefined || (isTerminate(message) && this.#park())) {
      done()
    } else {
      this.#session.inspect(message)
      this.#socket.write(message, done)
    }
  }

  #begin(startup: Buffer): void {
    this.#startup = startup
    const parked = this.#session.take()
    if (parked && withoutName(parked.startup) === withoutName(startup)) {
      this.#greeting = parked.greeting
      this.#isIdle = true
      this.#attach(parked.socket.ref())
      this.#rename(startup)
      this.push(parked.greeting)
      return
    }
    parked?.socket.end(terminate())
    const socket = this.#reach?.()
    if (socket) {
      this.#attach(socket)
      socket.write(startup)
    }
  }

  #attach(socket: Socket): void {
    this.#socket = socket
    this.#forget = listen(socket, {
      data: (data: Buffer) => this.#hear(data),
      error: (error: Error) => this.destroy(error),
      end: () => this.push(null),
      close: () => this.destroy(),
    })
  }

  /** Its answer is for us, and comes before any that the client waits for. */
  #rename(startup: Buffer): void {
    const message = renameTo(startup)
    this.#isRenaming = message !== undefined
    if (message) {
      this.#socket?.write(message)
    }
  }

  #hear(data: Buffer): void {
    this.#isIdle = isIdle(data)
    const rest = this.#isRenaming ? this.#skipAnswer(data) : data
    if (this.#greeting === undefined && !isEncrypted(this.#startup)) {
      this.#heard = Buffer.concat([this.#heard, data])
      const messages = readUntilReady(this.#heard)
      this.#greeting = messages && greetingOf(messages)
    }
    if (rest.length > 0 && !this.push(rest)) {
      this.#socket?.pause()
    }
  }

  #skipAnswer(data: Buffer): Buffer {
    this.#heard = Buffer.concat([this.#heard, data])
    const messages = readUntilReady(this.#heard)
    this.#isRenaming = messages === undefined
    return this.#heard.subarray(messages ? Buffer.concat(messages).length : this.#heard.length)
  }

  #park(): boolean {
    const [socket, startup, greeting] = [this.#socket, this.#startup, this.#greeting]
    if (!socket || !startup || !greeting || socket.destroyed || !this.#isIdle || this.#isRenaming) {
      return false
    }
    if (!this.#session.park({ socket, startup, greeting })) {
      return false
    }
    this.#forget?.()
    this.#socket = undefined
    this.push(null)
    return true
  }
}

import type { Duplex } from 'node:stream'
import { InfraError, messageOf } from '../errors.ts'

// birpc is not used: it does not notice a closed connection, and cannot let the process exit while no answer is
// awaited. It also does not transfer error codes, and turns an invalid message into an unhandled rejection.

/**
 * Maximum length in characters. A request has a few hundred; a lease, which contains the user's own variables, has a
 * few thousand.
 */
const MAX_MESSAGE_LENGTH = 4 * 1024 * 1024

/** The reason why a request failed, in a form that JSON can represent. */
export interface Failure {
  readonly message: string
  /** The code of an `InfraError`; undefined for any other error. */
  readonly code?: string
}

/** A call of a method in the other process. */
export interface Request {
  /** Identifies the request. The answer has the same id. */
  readonly id: number
  readonly method: string
  readonly args: readonly unknown[]
}

export type Answer =
  { readonly id: number; readonly result?: unknown } | { readonly id: number; readonly error: Failure }

/** A connection to the process that answers requests. */
export interface Link {
  /** Sends a request. Returns false if the connection has closed. */
  send(request: Request): boolean
  /** The reason with which requests fail once the connection has closed. */
  readonly closed: Failure
  /** Reports whether an answer is awaited. The connection may keep this process alive only while one is. */
  hold?(isAwaited: boolean): void
  /**
   * Converts a failure into the error with which a request rejects.
   *
   * @default a plain `Error`
   */
  toError?(failure: Failure): Error
}

/**
 * The client side of a connection. `Methods` is an interface of asynchronous methods; a call of one sends a request.
 *
 * A request has no timeout and cannot be cancelled individually. Closing the connection cancels all requests on both
 * sides.
 */
export class RequestClient<Methods extends object> {
  readonly remote: Methods
  readonly #link: Link
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0
  #awaited = 0

  /** @param local methods of `remote` that run in this process and send no request */
  constructor(link: Link, local: Partial<Methods> = {}) {
    this.#link = link
    this.remote = new Proxy(local as Methods, {
      get: (target, name) => Reflect.get(target, name) ?? this.#methodOf(name),
    })
  }

  /** Settles the request with the id of `answer`. Ignores an answer that is no longer awaited. */
  receive(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if ('error' in answer) {
      pending?.reject(this.#toError(answer.error))
    } else {
      pending?.resolve(answer.result)
    }
  }

  /** Rejects all pending requests. Call it when the connection has closed. */
  close(): void {
    this.rejectAll(this.#toError(this.#link.closed))
  }

  /** Rejects all pending requests with `reason`. */
  rejectAll(reason: Error): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    pending.forEach(({ reject }) => reject(reason))
  }

  /** Keeps this process alive until `outcome`, which the other process reports, has settled. */
  async hold<T>(outcome: Promise<T>): Promise<T> {
    this.#awaited += 1
    this.#link.hold?.(true)
    try {
      return await outcome
    } finally {
      this.#awaited -= 1
      if (this.#awaited === 0) {
        this.#link.hold?.(false)
      }
    }
  }

  #methodOf(name: string | symbol) {
    // `await` would treat an object with a `then` method as a promise.
    return typeof name === 'string' && name !== 'then'
      ? (...args: readonly unknown[]) => this.#call(name, args)
      : undefined
  }

  async #call(method: string, args: readonly unknown[]): Promise<unknown> {
    const id = (this.#lastId += 1)
    if (!this.#link.send({ id, method, args })) {
      throw this.#toError(this.#link.closed)
    }
    const answer = Promise.withResolvers<unknown>()
    this.#pending.set(id, answer)
    return this.hold(answer.promise)
  }

  #toError(failure: Failure): Error {
    return this.#link.toError?.(failure) ?? new Error(failure.message)
  }
}

/**
 * The server side: calls the method that a message names, and resolves to the answer. Answers any other message with an
 * error.
 */
export async function answerRequest(methods: object, message: object): Promise<Answer> {
  const { id, method, args } = message as Request
  try {
    // Only own properties are callable: the other process must not reach methods that every object inherits.
    if (typeof method !== 'string' || !Object.hasOwn(methods, method) || !Array.isArray(args)) {
      throw new TypeError(`Cannot answer ${JSON.stringify(message)}: it is not a request`)
    }
    const known = methods as Record<string, (...args: unknown[]) => Promise<unknown>>
    return { id, result: await known[method]?.(...args) }
  } catch (error) {
    return { id, error: failureOf(error) }
  }
}

/** Answers the requests that arrive on a stream. */
export function serveRequests(stream: Duplex, methods: object): void {
  const serve = async (message: object) => {
    const answer = await answerRequest(methods, message)
    if (!stream.destroyed) {
      stream.write(encodeMessage(answer))
    }
  }
  readMessages(stream, (message) => void serve(message))
}

/** Serializes an error: its message and, for an `InfraError`, its code. */
function failureOf(error: unknown): Failure {
  return { message: messageOf(error), ...(error instanceof InfraError && { code: error.code }) }
}

/** Encodes a message for a stream as one line of JSON. */
export function encodeMessage(message: object): string {
  return `${JSON.stringify(message)}\n`
}

/** Calls `handle` with each message on a stream. Destroys the stream if it receives anything else. */
export function readMessages(stream: Duplex, handle: (message: object) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message = parseMessage(line)
      if (message === undefined) {
        stream.destroy()
        return
      }
      handle(message)
    }
    if (rest.length > MAX_MESSAGE_LENGTH) {
      stream.destroy()
    }
  })
}

function parseMessage(line: string): object | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null && !Array.isArray(message) ? message : undefined
  } catch {
    return undefined
  }
}

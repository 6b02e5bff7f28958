import type { Duplex } from 'node:stream'
import { InfraError, messageOf } from '../errors.ts'

// Not birpc: it does not notice that a connection has closed, cannot let the process exit while no answer is awaited,
// leaves the code of an error to its user, and turns an invalid message into an unhandled rejection.

/** A request is a few hundred characters; a lease, with the user's own variables in it, some thousands. */
const MAX_MESSAGE_LENGTH = 4 * 1024 * 1024

/** Why a request failed, in a form that JSON can carry. */
export interface Failure {
  readonly message: string
  /** The code of an `InfraError`. */
  readonly code?: string
}

/** The call of a method of the other process. */
export interface Request {
  /** Repeated in the answer. */
  readonly id: number
  readonly method: string
  readonly args: readonly unknown[]
}

export type Answer =
  { readonly id: number; readonly result?: unknown } | { readonly id: number; readonly error: Failure }

/** A connection to the process that answers. */
export interface Link {
  /** Returns false if the connection has closed. */
  send(request: Request): boolean
  /** With this reason requests fail once the connection has closed. */
  readonly closed: Failure
  /** Says whether an answer is awaited. Only then may the connection keep this process alive. */
  hold?(isAwaited: boolean): void
  /** @default a plain `Error` */
  toError?(failure: Failure): Error
}

/**
 * The asking side of a connection. `Methods` is an interface of asynchronous methods; calling one sends a request.
 *
 * A request has no timeout and is not cancelled alone: closing the connection cancels all of them, on both sides.
 */
export class RequestClient<Methods extends object> {
  readonly remote: Methods
  readonly #link: Link
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0
  #awaited = 0

  /** @param local methods of `remote` that are called in this process */
  constructor(link: Link, local: Partial<Methods> = {}) {
    this.#link = link
    this.remote = new Proxy(local as Methods, {
      get: (target, name) => Reflect.get(target, name) ?? this.#methodOf(name),
    })
  }

  /** Settles the request that this answers. An answer that is no longer awaited is ignored. */
  receive(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if ('error' in answer) {
      pending?.reject(this.#toError(answer.error))
    } else {
      pending?.resolve(answer.result)
    }
  }

  /** To be called when the connection has closed. */
  close(): void {
    this.rejectAll(this.#toError(this.#link.closed))
  }

  /** Rejects all requests that are not answered yet. */
  rejectAll(reason: Error): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    pending.forEach(({ reject }) => reject(reason))
  }

  /** Keeps this process alive until the other one has reported this outcome, as for an answer. */
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
    // With a method `then`, `await` would take it for a promise.
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

/** The answering side: runs the method that a message names. Any other message is answered with an error. */
export async function answerRequest(methods: object, message: object): Promise<Answer> {
  const { id, method, args } = message as Request
  try {
    // Own properties only: a peer must not reach what every object inherits.
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

/** What the other process has to know of an error. */
function failureOf(error: unknown): Failure {
  return { message: messageOf(error), ...(error instanceof InfraError && { code: error.code }) }
}

/** A message on a stream: one line of JSON. */
export function encodeMessage(message: object): string {
  return `${JSON.stringify(message)}\n`
}

/** Calls `handle` for each message on a stream. Destroys the stream if anything else arrives on it. */
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

import type { Socket } from 'node:net'

// As much of PostgreSQL's protocol as is needed to hand a session on: a message is its type, its length and the rest.
const AUTHENTICATION = 'R'.charCodeAt(0)
const COMPLETE = 'C'.charCodeAt(0)
const ERROR = 'E'.charCodeAt(0)
const ROW = 'D'.charCodeAt(0)
const READY = 'Z'.charCodeAt(0)
const QUERY = 'Q'.charCodeAt(0)
const TERMINATE = 'X'.charCodeAt(0)
const IDLE = 'I'.charCodeAt(0)
const READY_LENGTH = 6
const HEAD_LENGTH = 5
/** Of a message that asks for encryption; one that begins a session is longer. */
const REQUEST_LENGTH = 8

/** What a server has said until it was ready for a query, message by message; nothing as long as there is more to come. */
export function readUntilReady(heard: Buffer): readonly Buffer[] | undefined {
  const messages: Buffer[] = []
  for (let at = 0; at + HEAD_LENGTH <= heard.length;) {
    const message = heard.subarray(at, at + 1 + heard.readUInt32BE(at + 1))
    at += message.length
    if (message.length < HEAD_LENGTH || message.length < 1 + message.readUInt32BE(1)) {
      return undefined
    }
    messages.push(message)
    if (message[0] === READY) {
      return messages
    }
  }
  return undefined
}

/** How a server greets whoever need not show a password. */
export function greetingOf(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.filter((message) => message[0] !== AUTHENTICATION || message.readUInt32BE(HEAD_LENGTH) === 0),
  )
}

/** What has the server run statements, all of them or none. */
export function query(statements: string): Buffer {
  const text = Buffer.from(`${statements}\0`)
  const head = Buffer.from([QUERY, 0, 0, 0, 0])
  head.writeUInt32BE(text.length + HEAD_LENGTH - 1, 1)
  return Buffer.concat([head, text])
}

/** What came of one statement. */
export interface Outcome {
  /** What was done, as `DELETE 3`. */
  readonly tag: string
  /** The first value of each row, as text. */
  readonly values: readonly string[]
}

/** What came of the statements of one query, in their order; nothing if one of them failed. */
export function outcomesOf(messages: readonly Buffer[]): readonly Outcome[] | undefined {
  const outcomes: Outcome[] = []
  let values: string[] = []
  for (const message of messages) {
    if (message[0] === ERROR) {
      return undefined
    } else if (message[0] === ROW) {
      values.push(firstValue(message))
    } else if (message[0] === COMPLETE) {
      outcomes.push({ tag: message.toString('latin1', HEAD_LENGTH, message.length - 1), values })
      values = []
    }
  }
  return outcomes
}

/** Behind the number of values comes, for each, its length, and then its text. */
function firstValue(row: Buffer): string {
  const at = HEAD_LENGTH + 6
  return row.length < at ? '' : row.toString('utf8', at, at + Math.max(0, row.readInt32BE(at - 4)))
}

/** Whether the last that a server said is that it waits for a query, outside of a transaction. */
export function isIdle(data: Buffer): boolean {
  return data.at(-READY_LENGTH) === READY && data.at(-1) === IDLE
}

/** Whether what follows this first message cannot be read. */
export function isEncrypted(startup: Buffer | undefined): boolean {
  return startup?.length === REQUEST_LENGTH
}

export function isTerminate(chunk: Buffer): boolean {
  return chunk.length === HEAD_LENGTH && chunk[0] === TERMINATE
}

export function terminate(): Buffer {
  return Buffer.from([TERMINATE, 0, 0, 0, 4])
}

/** Returns what takes the listeners away again. */
export function listen(socket: Socket, listeners: Readonly<Record<string, (...args: never[]) => void>>): () => void {
  const all = Object.entries(listeners) as [string, (...args: unknown[]) => void][]
  all.forEach(([event, listener]) => socket.on(event, listener))
  return () => all.forEach(([event, listener]) => socket.off(event, listener))
}

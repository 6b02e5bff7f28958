import type { Socket } from 'node:net'

// As much of PostgreSQL's protocol as is needed to hand a session on: a message is its type, its length and the rest.
const AUTHENTICATION = 'R'.charCodeAt(0)
const READY = 'Z'.charCodeAt(0)
const QUERY = 'Q'.charCodeAt(0)
const TERMINATE = 'X'.charCodeAt(0)
const IDLE = 'I'.charCodeAt(0)
const READY_LENGTH = 6
const HEAD_LENGTH = 5
const NAME = /(^|\0)application_name\0([^\0]*)/
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

/** The message by which a session takes the name that stands in a first message; nothing if none does. */
export function renameTo(startup: Buffer): Buffer | undefined {
  const name = NAME.exec(startup.subarray(REQUEST_LENGTH).toString())?.[2]
  const text = name && Buffer.from(`SET application_name = '${name.replaceAll("'", "''")}'\0`)
  if (!text) {
    return undefined
  }
  const head = Buffer.from([QUERY, 0, 0, 0, 0])
  head.writeUInt32BE(text.length + HEAD_LENGTH - 1, 1)
  return Buffer.concat([head, text])
}

/** Whether the last that a server said is that it waits for a query, outside of a transaction. */
export function isIdle(data: Buffer): boolean {
  return data.at(-READY_LENGTH) === READY && data.at(-1) === IDLE
}

/** Whether what follows this first message cannot be read. */
export function isEncrypted(startup: Buffer | undefined): boolean {
  return startup?.length === REQUEST_LENGTH
}

/** A first message without the name under which the session appears. */
export function withoutName(startup: Buffer): string {
  return startup.subarray(REQUEST_LENGTH).toString().replace(NAME, '')
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

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { engineTarget, type Target } from './engine-proxy.ts'

/** A fault of a request: answer it with an error, close its connection, or delay it. */
export type Fault = 'refuse' | 'cut' | 'delay'

/** Longer than Vitest waits for a run to close. */
export const DELAY_MS = 12_000

/** One request among equal ones: `POST /containers/ID/start`, the second of them. */
export interface RequestName {
  readonly name: string
  readonly count: number
}

export interface ArmedFault extends RequestName {
  readonly fault: Fault
}

export interface SlowRequests {
  readonly name: RegExp
  readonly delayMs: number
}

/** A proxy in front of the engine that injects a fault into one request. */
export class FaultyEngine {
  /** For `DOCKER_HOST`. */
  readonly host: string
  readonly #folder: string
  readonly #target: Target
  readonly #server = createServer((incoming, answer) => void this.#forward(incoming, answer))
  readonly #sockets = new Set<Socket>()
  readonly #counts = new Map<string, number>()
  #armed: ArmedFault | undefined
  #slow: SlowRequests | undefined
  #struck = false

  private constructor(folder: string, target: Target) {
    this.#folder = folder
    this.#target = target
    this.host = `unix://${join(folder, 'docker.sock')}`
    this.#server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      void this.#upgrade(incoming, socket, head)
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    })
  }

  static async open(): Promise<FaultyEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'vitest-infra-proxy-'))
    const engine = new FaultyEngine(folder, await engineTarget())
    await once(engine.#server.listen(join(folder, 'docker.sock')), 'listening')
    return engine
  }

  /** Restarts the count of requests, with a fault for one request, and with slow requests. */
  arm(fault?: ArmedFault, slow?: SlowRequests): void {
    this.#counts.clear()
    this.#armed = fault
    this.#slow = slow
    this.#struck = false
  }

  /** Whether the request with the fault has arrived. */
  get struck(): boolean {
    return this.#struck
  }

  /** The requests since the last call of {@link arm}. */
  get requests(): readonly RequestName[] {
    return [...this.#counts].flatMap(([name, total]) =>
      Array.from({ length: total }, (_, index) => ({ name, count: index + 1 })),
    )
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#sockets.forEach((socket) => socket.destroy())
    await closed
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #forward(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const fault = this.#strike(incoming)
    if (fault === 'refuse') {
      incoming.resume()
      answer.writeHead(500, { 'content-type': 'application/json' }).end('{"message":"refused by the test"}\n')
      return
    }
    if (fault === 'cut') {
      incoming.socket.destroy()
      return
    }
    await this.#wait(incoming, fault)
    const { method, url, headers } = incoming
    const sent = request({ ...this.#target, method, path: url, headers, agent: false })
    sent.on('error', () => incoming.socket.destroy())
    sent.on('response', (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers)
      answer.flushHeaders()
      response.on('error', () => incoming.socket.destroy())
      response.pipe(answer)
    })
    // To the engine, it looks as if the client had disconnected.
    answer.on('close', () => sent.destroy())
    if (method === 'PUT') {
      incoming.pipe(sent)
    } else {
      // The body is sent at once: an engine may answer and close before it has read a body.
      const body = await buffer(incoming).catch(() => undefined)
      if (body) {
        sent.end(body)
      } else {
        // The client closed the connection.
        sent.destroy()
      }
    }
  }

  async #upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const fault = this.#strike(incoming)
    if (fault === 'refuse') {
      socket.end('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n')
      return
    }
    if (fault === 'cut') {
      socket.destroy()
      return
    }
    await this.#wait(incoming, fault)
    const upstream = connect('socketPath' in this.#target ? { path: this.#target.socketPath } : this.#target)
    this.#sockets.add(upstream)
    upstream.on('error', () => {}).on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    // Node does not read the body of an upgrade request; it precedes the upgraded stream.
    upstream.write(headOf(incoming))
    upstream.write(head)
    socket.pipe(upstream).pipe(socket)
  }

  async #wait({ method = '', url = '' }: IncomingMessage, fault: Fault | undefined): Promise<void> {
    const isSlow = this.#slow?.name.test(`${method} ${plainPath(url)}`)
    const delayMs = fault === 'delay' ? DELAY_MS : isSlow ? this.#slow?.delayMs : undefined
    await (delayMs === undefined ? undefined : sleep(delayMs))
  }

  #strike({ method = '', url = '' }: IncomingMessage): Fault | undefined {
    const name = `${method} ${plainPath(url)}`
    const count = (this.#counts.get(name) ?? 0) + 1
    this.#counts.set(name, count)
    if (this.#armed?.name !== name || this.#armed.count !== count) {
      return undefined
    }
    this.#struck = true
    return this.#armed.fault
  }
}

/** Replaces parts of a path that differ between runs. */
function plainPath(url: string): string {
  const { pathname } = new URL(url, 'http://engine')
  return pathname
    .replace(/^\/v\d+\.\d+/, '')
    .replace(/\b(?:sha256:)?[0-9a-f]{64}\b/g, 'ID')
    .replace(/vitest-infra-[0-9a-f]{8}-\w+/g, 'NAME')
    .replace(/snapshot:[0-9a-f]{32}/, 'snapshot:KEY')
}

function headOf({ method, url, rawHeaders }: IncomingMessage): string {
  const headers = Array.from(
    { length: rawHeaders.length / 2 },
    (_, index) => `${rawHeaders[2 * index]}: ${rawHeaders[2 * index + 1]}\r\n`,
  )
  return `${method} ${url} HTTP/1.1\r\n${headers.join('')}\r\n`
}

import { readFile } from 'node:fs/promises'
import { type ClientRequest, request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { timeLimitError } from '../../../internal/time-limit.ts'
import type { EngineAddress } from './engine-address.ts'
import { ProbeError } from './probe-error.ts'

export interface EngineRequest {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Holds `ca.pem`, `cert.pem` and `key.pem`; without it the request is plain HTTP. */
  readonly tlsDirectory?: string | undefined
  readonly signal?: AbortSignal | undefined
  /**
   * Holds this process until the answer is there or this aborts. Then nobody may wait for the answer any more: this process
   * may end before it comes, and the engine carries out the request all the same.
   */
  readonly letGo?: AbortSignal | undefined
  /**
   * How long the engine may be silent.
   *
   * @default 30 s
   */
  readonly timeoutMs?: number
}

/** Far longer than a busy engine takes for anything that a run asks of it; a run must not wait for ever. */
const ANSWER_TIMEOUT_MS = 30_000

/** Sends one request to the engine's API, over a connection of its own. */
export async function requestEngine(address: EngineAddress, request: EngineRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = await send(address, request)
  sent.on('response', resolve).on('error', reject)
  return promise
}

/** Sends one request after which the connection belongs to a program in a container: its input and its output. */
export async function upgradeEngine(address: EngineAddress, request: EngineRequest): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const sent = await send(address, request, { connection: 'Upgrade', upgrade: 'tcp' })
  sent.on('error', reject).on('upgrade', (_response, socket: Socket, head) => {
    socket.setTimeout(0)
    socket.unshift(head)
    resolve(socket)
  })
  sent.on('response', (response) => void text(response).then((body) => reject(refused(response, body)), reject))
  return promise
}

/** What the engine says where it does not do what it was asked for. */
export function refused({ statusCode = 0 }: IncomingMessage, body: string): Error & { readonly statusCode: number } {
  return Object.assign(new Error(`HTTP ${statusCode}: ${body.trim()}`), { statusCode })
}

async function send(
  address: EngineAddress,
  { method = 'GET', path, body, tlsDirectory, signal, letGo, timeoutMs = ANSWER_TIMEOUT_MS }: EngineRequest,
  headers: Readonly<Record<string, string>> = {},
): Promise<ClientRequest> {
  const tls = tlsDirectory === undefined ? undefined : await readTlsFiles(tlsDirectory)
  const payload = body === undefined ? '' : JSON.stringify(body)
  const options: RequestOptions = {
    method,
    path,
    agent: false,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    ...(signal && { signal }),
    ...target(address),
    ...tls,
  }
  const sent = tls ? requestHttps(options) : requestHttp(options)
  sent.setTimeout(timeoutMs, () => sent.destroy(timeLimitError(timeoutMs)))
  sent.on('socket', (socket) => {
    if (letGo?.aborted) {
      socket.unref()
    }
    letGo?.addEventListener('abort', () => socket.unref(), { once: true })
  })
  sent.end(payload)
  return sent
}

function target(address: EngineAddress): RequestOptions {
  return address.kind === 'socket' ? { socketPath: address.path } : { host: address.hostname, port: address.port }
}

/** Testcontainers reads all three files or none, and always verifies: what it cannot use is no engine for us. */
async function readTlsFiles(directory: string): Promise<{ ca: Buffer; cert: Buffer; key: Buffer }> {
  try {
    const read = (name: string) => readFile(join(directory, name))
    const [ca, cert, key] = await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')])
    return { ca, cert, key }
  } catch (error) {
    throw ProbeError.tls(error)
  }
}

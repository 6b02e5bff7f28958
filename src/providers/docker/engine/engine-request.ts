import { readFile } from 'node:fs/promises'
import { type ClientRequest, request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { finished, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { timeLimitError } from '../../../internal/time-limit.ts'
import { type EngineAccess, parseEngineAddress } from './engine-address.ts'
import { EngineRefusal, ProbeError } from './engine-errors.ts'

export interface EngineRequest {
  /**
   * The HTTP method.
   *
   * @default 'GET'
   */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean>>
  /** The body of the request, sent as JSON. */
  readonly body?: unknown
  /** A tar archive that is sent instead of a JSON body. */
  readonly archive?: Readable
  readonly headers?: Readonly<Record<string, string>>
  /** Cancels the request, and the answer while it is being read. To end an upgraded connection, destroy its socket. */
  readonly signal?: AbortSignal | undefined
  /**
   * Once this signal aborts, the request no longer keeps this process alive. The engine completes the request even if
   * this process exits first, so the caller must not await the answer any more.
   */
  readonly abandon?: AbortSignal | undefined
  /**
   * How long the engine may be silent before the request fails, in milliseconds; 0 for no timeout.
   *
   * @default 30 s
   */
  readonly timeoutMs?: number
}

/** Far longer than a busy engine takes to answer. Without a timeout, a run could hang. */
const ANSWER_TIMEOUT_MS = 30_000

/**
 * Sends one request over a new connection. Resolves to the answer, whose body has not been read yet. Reading the body
 * fails if the connection breaks.
 *
 * @throws {EngineRefusal} if the engine answers with an error
 */
export async function requestEngine(engine: EngineAccess, request: EngineRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = await send(engine, request)
  sent.on('response', resolve).on('error', reject)
  const response = await promise
  if ((response.statusCode ?? 0) >= 300) {
    throw await refusal(response)
  }
  return response
}

/**
 * Sends one request after which the connection carries the input and output of a program in a container. If the
 * connection breaks, the socket closes with or without an error.
 *
 * @throws {EngineRefusal} if the engine answers with an error
 */
export async function upgradeEngine(engine: EngineAccess, request: EngineRequest): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const sent = await send(engine, { ...request, headers: { connection: 'Upgrade', upgrade: 'tcp' } })
  sent.on('error', reject).on('upgrade', (_response, socket: Socket, head) => {
    // Without this listener, an error would end the process before the caller adds a listener.
    socket.setTimeout(0).on('error', () => {})
    socket.unshift(head)
    resolve(socket)
  })
  sent.on('response', (response) => void refusal(response).then(reject, reject))
  return promise
}

async function refusal(response: IncomingMessage): Promise<EngineRefusal> {
  return new EngineRefusal(response.statusCode ?? 0, await text(response))
}

async function send(engine: EngineAccess, request: EngineRequest): Promise<ClientRequest> {
  const { method = 'GET', path, body, archive, headers, signal, abandon, timeoutMs = ANSWER_TIMEOUT_MS } = request
  const tls = engine.tlsDirectory === undefined ? undefined : await readTlsFiles(engine.tlsDirectory)
  const payload = body === undefined ? '' : JSON.stringify(body)
  const content = archive
    ? { 'content-type': 'application/x-tar' }
    : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
  const options: RequestOptions = {
    method,
    path: `${path}${queryString(request.query)}`,
    agent: false,
    headers: { ...headers, ...content },
    ...(signal && { signal }),
    ...target(engine),
    ...tls,
  }
  const sent = tls ? requestHttps(options) : requestHttp(options)
  sent.setTimeout(timeoutMs, () => sent.destroy(timeLimitError(timeoutMs)))
  sent.on('socket', (socket) => {
    if (abandon?.aborted) {
      socket.unref()
    }
    abandon?.addEventListener('abort', () => socket.unref(), { once: true })
  })
  if (archive) {
    upload(archive, sent)
  } else {
    sent.end(payload)
  }
  return sent
}

/**
 * Sends an archive. If the archive breaks off, the request is destroyed, because the engine would wait for the rest.
 */
function upload(archive: Readable, sent: ClientRequest): void {
  finished(archive, (error) => {
    if (error) {
      sent.destroy(error)
    }
  })
  sent.on('close', () => archive.destroy())
  archive.pipe(sent)
}

function queryString(query: EngineRequest['query'] = {}): string {
  const parameters = new URLSearchParams()
  Object.entries(query).forEach(([name, value]) => parameters.set(name, String(value)))
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}

function target({ host, tlsDirectory }: EngineAccess): RequestOptions {
  const address = parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  return address.kind === 'socket' ? { socketPath: address.path } : { host: address.hostname, port: address.port }
}

/**
 * Reads the TLS files as Testcontainers does: all three files are required, and the engine's certificate is always
 * verified.
 */
async function readTlsFiles(directory: string): Promise<{ ca: Buffer; cert: Buffer; key: Buffer }> {
  try {
    const read = (name: string) => readFile(join(directory, name))
    const [ca, cert, key] = await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')])
    return { ca, cert, key }
  } catch (error) {
    throw ProbeError.tls(error)
  }
}

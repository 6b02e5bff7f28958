import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Where an engine listens, as DOCKER_HOST writes it, and the folder with its client certificates. */
export interface Endpoint {
  readonly host: string
  readonly certificates?: string
}

export interface EngineVersion {
  readonly Version: string
  readonly ApiVersion: string
}

export interface ImageFacts {
  readonly Id: string
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null } | null
}

/** An error response of the engine. */
class DockerApiError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'DockerApiError'
    this.status = status
  }
}

export interface BuildOptions {
  readonly tag: string
  readonly dockerfile: string
  readonly buildArgs: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** A line of a streamed response. A failure is such a line, after a status that reports success. */
interface Message {
  readonly status?: string
  readonly error?: string
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: Readable
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** The engine calls that the lab needs, directly to the engine's socket; no docker command is needed. */
export class DockerApi {
  readonly endpoint: Endpoint

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
  }

  async ping(timeoutMs = 1_500): Promise<void> {
    await this.#text('/_ping', { timeoutMs })
  }

  async version(): Promise<EngineVersion> {
    return (await this.#json('/version', 5_000)) as EngineVersion
  }

  /** Tells engines apart, also when they take turns at one address. */
  async engineId(): Promise<string> {
    return ((await this.#json('/info', 5_000)) as { ID: string }).ID
  }

  async findImage(name: string): Promise<ImageFacts | undefined> {
    try {
      return (await this.#json(`/images/${name}/json`, 10_000)) as ImageFacts
    } catch (error) {
      if (error instanceof DockerApiError && error.status === 404) return undefined
      throw error
    }
  }

  /** Pulls an image. Calls `onMessage` for each message of the engine. */
  async pullImage(image: string, signal: AbortSignal, onMessage: () => void): Promise<void> {
    const [repository = '', tag = ''] = image.split(':')
    const query = new URLSearchParams({ fromImage: repository, tag })
    await this.#messages(`/images/create?${query.toString()}`, { method: 'POST', signal }, onMessage)
  }

  /** Makes an image without a name of a root file system, and resolves with its id. */
  async importImage(tar: Readable, signal: AbortSignal): Promise<string> {
    let id = ''
    await this.#messages('/images/create?fromSrc=-', { method: 'POST', body: tar, signal }, ({ status = '' }) => {
      if (status.startsWith('sha256:')) id = status
    })
    return id
  }

  async buildImage(context: Readable, { tag, dockerfile, buildArgs, labels, signal }: BuildOptions): Promise<void> {
    const query = new URLSearchParams({
      t: tag,
      dockerfile,
      buildargs: JSON.stringify(buildArgs),
      labels: JSON.stringify(labels),
    })
    await this.#messages(`/build?${query.toString()}`, { method: 'POST', body: context, signal })
  }

  async removeImage(id: string): Promise<void> {
    await this.#text(`/images/${id}`, { method: 'DELETE', timeoutMs: 30_000 })
  }

  /** Removes, as far as the engine lets it, every container with its anonymous volumes, and every network that is not the engine's own. Says how many. */
  async removeAll(): Promise<{ containers: number; networks: number }> {
    const containers = (await this.#json('/containers/json?all=1', 10_000)) as { Id: string }[]
    await Promise.allSettled(
      containers.map(({ Id }) => this.#text(`/containers/${Id}?force=1&v=1`, { method: 'DELETE', timeoutMs: 30_000 })),
    )
    const networks = (await this.#json('/networks', 10_000)) as { Id: string; Name: string }[]
    const own = networks.filter(({ Name }) => !['bridge', 'host', 'none'].includes(Name))
    await Promise.allSettled(
      own.map(({ Id }) => this.#text(`/networks/${Id}`, { method: 'DELETE', timeoutMs: 30_000 })),
    )
    return { containers: containers.length, networks: own.length }
  }

  async #messages(path: string, call: Call, onMessage: (message: Message) => void = () => {}): Promise<void> {
    const response = await this.#send(path, call)
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) readMessage(line, onMessage)
    }
    readMessage(rest, onMessage)
  }

  async #json(path: string, timeoutMs: number): Promise<unknown> {
    return JSON.parse(await this.#text(path, { timeoutMs }))
  }

  async #text(path: string, call: Call): Promise<string> {
    const response = await this.#send(path, call)
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    return text
  }

  async #send(path: string, { method = 'GET', body, timeoutMs, signal }: Call): Promise<IncomingMessage> {
    const { send, ...target } = resolveTarget(this.endpoint)
    const limits = [signal, timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)].filter(
      (one) => one !== undefined,
    )
    const options: RequestOptions = {
      ...target,
      method,
      path,
      signal: AbortSignal.any(limits),
      headers: body ? { 'content-type': 'application/x-tar' } : {},
    }
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const request = send(options, resolve).once('error', reject)
    if (body) pipeline(body, request).catch(reject)
    else request.end()
    const response = await promise
    const status = response.statusCode ?? 0
    if (status >= 400) throw new DockerApiError(status, await readError(response))
    return response
  }
}

type Target = RequestOptions & {
  readonly send: typeof httpRequest
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

function resolveTarget({ host, certificates }: Endpoint): Target {
  if (host.startsWith('unix://')) return { send: httpRequest, socketPath: host.slice('unix://'.length) }
  const { hostname, port } = new URL(host.replace(/^tcp:/, 'http:'))
  if (certificates === undefined) return { send: httpRequest, host: hostname, port: port || '2375' }
  const read = (name: string): Buffer => readFileSync(join(certificates, name))
  return {
    send: httpsRequest,
    host: hostname,
    port: port || '2376',
    ca: read('ca.pem'),
    cert: read('cert.pem'),
    key: read('key.pem'),
  }
}

function readMessage(line: string, onMessage: (message: Message) => void): void {
  if (line.trim() === '') return
  const message = JSON.parse(line) as Message
  if (message.error !== undefined) throw new DockerApiError(500, message.error)
  onMessage(message)
}

async function readError(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text
  } catch {
    return text
  }
}

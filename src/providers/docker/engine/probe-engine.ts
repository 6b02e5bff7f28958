import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { TimeLimitError, withTimeLimit } from '../../../internal/time-limit.ts'
import type { EngineAddress } from './engine-address.ts'
import { requestEngine } from './engine-request.ts'
import { ProbeError } from './probe-error.ts'

const REQUEST_TIMEOUT_MS = 2_000

/** What an engine says about itself in the headers of `GET /_ping`. */
export interface EngineVersion {
  /** The program and its version: `Docker Engine 28.5.2`, `Podman 5.4.0`. */
  readonly product: string
  readonly apiVersion: string
}

/** By the names that they give themselves. */
const PRODUCTS = new Map([
  ['Docker', 'Docker Engine'],
  ['Libpod', 'Podman'],
])

export interface EngineRequestOptions {
  /** Holds `ca.pem`, `cert.pem` and `key.pem`; without it the request is plain HTTP. */
  readonly tlsDirectory?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks whatever listens at the address whether it is a container engine. It is asked for no more than that: `GET /version`
 * takes an engine several times as long, since it asks its own parts.
 *
 * @throws {ProbeError} when it is none, or does not answer within 2 s
 */
export async function probeEngine(address: EngineAddress, options: EngineRequestOptions = {}): Promise<EngineVersion> {
  const { server, 'api-version': apiVersion } = (await ask(address, '/_ping', options)).headers
  if (typeof apiVersion !== 'string') {
    throw ProbeError.foreign('no version of its API in it')
  }
  return { apiVersion, product: describeProduct(server) }
}

/**
 * The body of one `GET` on the engine's API.
 *
 * @throws {ProbeError} when no such answer comes within 2 s
 */
export async function askEngine(address: EngineAddress, path: string, options: EngineRequestOptions): Promise<string> {
  return (await ask(address, path, options)).body
}

interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function ask(address: EngineAddress, path: string, options: EngineRequestOptions): Promise<Answer> {
  const { tlsDirectory, signal: outer } = options
  const request = async (signal: AbortSignal) => {
    const response = await requestEngine(address, { path, tlsDirectory, signal })
    return { headers: response.headers, body: await bodyOf(response) }
  }
  try {
    return await withTimeLimit(REQUEST_TIMEOUT_MS, request, outer)
  } catch (error) {
    throw error instanceof TimeLimitError ? ProbeError.silent(REQUEST_TIMEOUT_MS, error) : ProbeError.from(error)
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const body = await text(response)
  if (response.statusCode !== 200) {
    const [line = ''] = body.trim().split('\n', 1)
    throw ProbeError.foreign(`HTTP ${response.statusCode}${line === '' ? '' : `: ${line.slice(0, 120)}`}`)
  }
  return body
}

/** From such as `Docker/28.5.2 (linux)`, which a proxy may have taken away. */
function describeProduct(server: unknown): string {
  const [, name = '', version] = /^(\w+)\/(\S+)/.exec(String(server)) ?? []
  return version === undefined ? 'container engine' : `${PRODUCTS.get(name) ?? name} ${version}`
}

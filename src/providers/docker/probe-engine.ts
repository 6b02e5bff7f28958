import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { EngineAddress } from './engine-address.ts'
import { requestEngine } from './engine-request.ts'
import { ProbeError } from './probe-error.ts'

const REQUEST_TIMEOUT_MS = 2_000

/** What an engine says about itself in `GET /version`. */
export interface EngineVersion {
  readonly version: string
  readonly apiVersion: string
  /** The kernel that the containers run on: `linux` or `windows`. */
  readonly operatingSystem: string
  readonly architecture: string
}

export interface EngineRequestOptions {
  /** Holds `ca.pem`, `cert.pem` and `key.pem`; without it the request is plain HTTP. */
  readonly tlsDirectory?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks whatever listens at the address whether it is a container engine.
 *
 * @throws {ProbeError} when it is none, or when one of the two questions stays unanswered for 2 s
 */
export async function probeEngine(address: EngineAddress, options: EngineRequestOptions = {}): Promise<EngineVersion> {
  await askEngine(address, '/_ping', options)
  return toVersion(await askEngine(address, '/version', options))
}

/**
 * The body of one `GET` on the engine's API.
 *
 * @throws {ProbeError} when no such answer comes within 2 s
 */
export async function askEngine(address: EngineAddress, path: string, options: EngineRequestOptions): Promise<string> {
  const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
  try {
    return await bodyOf(await requestEngine(address, { path, tlsDirectory: options.tlsDirectory, signal }))
  } catch (error) {
    throw deadline.aborted ? ProbeError.silent(REQUEST_TIMEOUT_MS, error) : ProbeError.from(error)
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

function toVersion(body: string): EngineVersion {
  const {
    Version: version,
    ApiVersion: apiVersion,
    Os: operatingSystem = 'linux',
    Arch: architecture = '',
  } = parse(body)
  if (!version || !apiVersion) {
    throw ProbeError.foreign('no version in it')
  }
  return { version, apiVersion, operatingSystem, architecture }
}

function parse(body: string): Record<string, string | undefined> {
  try {
    return { ...JSON.parse(body) }
  } catch (error) {
    throw ProbeError.foreign('no JSON', error)
  }
}

import { readFile } from 'node:fs/promises'
import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { join } from 'node:path'
import type { EngineAddress } from './engine-address.ts'
import { ProbeError } from './probe-error.ts'

export interface EngineRequest {
  /** @default 'GET' */
  readonly method?: 'GET' | 'DELETE'
  readonly path: string
  /** Holds `ca.pem`, `cert.pem` and `key.pem`; without it the request is plain HTTP. */
  readonly tlsDirectory?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Whether this process may end while the answer is outstanding. */
  readonly unref?: boolean
}

/** Sends one request to the engine's API, over a connection of its own. */
export async function requestEngine(address: EngineAddress, request: EngineRequest): Promise<IncomingMessage> {
  const { method = 'GET', path, tlsDirectory, signal, unref = false } = request
  const tls = tlsDirectory === undefined ? undefined : await readTlsFiles(tlsDirectory)
  const options: RequestOptions = { method, path, agent: false, ...(signal && { signal }), ...target(address), ...tls }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = tls ? requestHttps(options) : requestHttp(options)
  sent.on('response', resolve).on('error', reject)
  if (unref) {
    sent.on('socket', (socket) => socket.unref())
  }
  sent.end()
  return promise
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

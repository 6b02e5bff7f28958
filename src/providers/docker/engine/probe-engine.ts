import { text } from 'node:stream/consumers'
import { TimeLimitError, withTimeLimit } from '../../../internal/time-limit.ts'
import type { EngineAccess } from './engine-address.ts'
import { ProbeError } from './engine-errors.ts'
import { requestEngine } from './engine-request.ts'

const PROBE_TIMEOUT_MS = 2_000

/** An engine's product and API version, from the headers of `GET /_ping`. */
export interface EngineVersion {
  /** The product and its version, such as `Docker Engine 28.5.2` or `Podman 5.4.0`. */
  readonly product: string
  readonly apiVersion: string
}

/** Product names, by the names in the `Server` header. */
const PRODUCTS = new Map([
  ['Docker', 'Docker Engine'],
  ['Libpod', 'Podman'],
])

/**
 * Checks whether a container engine listens at an address. `GET /_ping` is sufficient, and `GET /version` takes an
 * engine several times as long.
 *
 * @throws {ProbeError} if no engine listens there, or if it does not answer within 2 s
 */
export async function probeEngine(access: EngineAccess, signal?: AbortSignal): Promise<EngineVersion> {
  const { server, 'api-version': apiVersion } = await withTimeLimit(
    PROBE_TIMEOUT_MS,
    async (limit) => {
      const response = await requestEngine(access, { path: '/_ping', signal: limit })
      await text(response)
      return response.headers
    },
    signal,
  ).catch((error: unknown) => {
    throw error instanceof TimeLimitError ? ProbeError.silent(PROBE_TIMEOUT_MS, error) : ProbeError.from(error)
  })
  if (typeof apiVersion !== 'string') {
    throw ProbeError.foreign('no version of its API in it')
  }
  return { apiVersion, product: describeProduct(server) }
}

/** Returns the product in a header such as `Docker/28.5.2 (linux)`. A proxy may have removed the header. */
function describeProduct(server: unknown): string {
  const [, name = '', version] = /^(\w+)\/(\S+)/.exec(String(server)) ?? []
  return version === undefined ? 'container engine' : `${PRODUCTS.get(name) ?? name} ${version}`
}

import { text } from 'node:stream/consumers'
import { parseEngineAddress } from './engine-address.ts'
import { refused, requestEngine } from './engine-request.ts'
import type { Engine } from './find-engine.ts'

export interface RemovalOptions {
  /**
   * Whether this process stays until it is done. The engine carries it out in any case.
   *
   * @default false
   */
  readonly isAwaited?: boolean
}

/**
 * Removes a container, running or not, in one request: its data is in memory, so there is nothing to shut down for.
 */
export async function removeContainer(
  { host, tlsDirectory }: Engine,
  idOrName: string,
  { isAwaited = false }: RemovalOptions = {},
): Promise<void> {
  const address = parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  const path = `/containers/${encodeURIComponent(idOrName)}?force=1&v=1`
  const response = await requestEngine(address, { method: 'DELETE', path, tlsDirectory, unref: !isAwaited })
  const failure = refused(response, await text(response))
  if (failure.statusCode >= 300 && !isGone(failure)) {
    throw failure
  }
}

/** 404: there is no such container; 409: it does not run any more, or its removal is already in progress. */
export function isGone(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}

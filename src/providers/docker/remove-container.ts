import { text } from 'node:stream/consumers'
import { parseEngineAddress } from './engine-address.ts'
import { refused, requestEngine } from './engine-request.ts'
import type { EngineAccess } from './find-engine.ts'

/** As long as a busy engine needs for it; one that never ends it must not keep us. */
const REMOVAL_LIMIT_MS = 10_000

export interface RemovalOptions {
  /**
   * Whether this process stays until it is done. The engine carries it out in any case.
   *
   * @default false
   */
  readonly isAwaited?: boolean
}

/**
 * Removes a container, running or not, in one request: its data is in memory, so there is nothing to shut down for. Where
 * the engine is at it already, since its server has ended, waits until its name and its port are free.
 */
export async function removeContainer(
  { host, tlsDirectory }: EngineAccess,
  idOrName: string,
  { isAwaited = false }: RemovalOptions = {},
): Promise<void> {
  const address = parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  const place = `/containers/${encodeURIComponent(idOrName)}`
  const common = { tlsDirectory, unref: !isAwaited }
  const response = await requestEngine(address, { ...common, method: 'DELETE', path: `${place}?force=1&v=1` })
  const failure = refused(response, await text(response))
  if (failure.statusCode >= 300 && !isGone(failure)) {
    throw failure
  }
  if (failure.statusCode === 409) {
    const signal = AbortSignal.timeout(REMOVAL_LIMIT_MS)
    const wait = { ...common, signal, method: 'POST', path: `${place}/wait?condition=removed` } as const
    await requestEngine(address, wait)
      .then(text)
      .catch(() => {})
  }
}

/** 404: there is no such container; 409: it does not run any more, or its removal is already in progress. */
export function isGone(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}

import { text } from 'node:stream/consumers'
import { parseEngineAddress } from './engine-address.ts'
import { refused, requestEngine } from './engine-request.ts'
import type { Engine } from './find-engine.ts'

/**
 * Removes a container, running or not, in one request: its data is in memory, so there is nothing to shut down for. The
 * engine carries it out even if this process ends meanwhile, which it is free to do.
 */
export async function removeContainer({ host, tlsDirectory }: Engine, idOrName: string): Promise<void> {
  const address = parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  const path = `/containers/${encodeURIComponent(idOrName)}?force=1&v=1`
  const response = await requestEngine(address, { method: 'DELETE', path, tlsDirectory, unref: true })
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

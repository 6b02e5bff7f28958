import { text } from 'node:stream/consumers'
import { unlessLetGo } from '../../../internal/abortable.ts'
import { parseEngineAddress } from '../engine/engine-address.ts'
import { refused, requestEngine } from '../engine/engine-request.ts'
import type { EngineAccess } from '../engine/find-engine.ts'

/** As long as a busy engine needs for it; one that never ends it must not keep us. */
const REMOVAL_TIMEOUT_MS = 10_000

/**
 * Removes a container, running or not, in one request: its data is in memory, so there is nothing to shut down for. Where
 * the engine is at it already, since its server has ended, waits until its name and its port are free.
 *
 * Holds this process until then, or until `letGo` aborts: then it resolves at once, and the engine continues on its own.
 */
export async function removeContainer(engine: EngineAccess, idOrName: string, letGo?: AbortSignal): Promise<void> {
  const removed = remove(engine, idOrName, letGo)
  await (letGo ? unlessLetGo(removed, letGo) : removed)
}

async function remove({ host, tlsDirectory }: EngineAccess, idOrName: string, letGo?: AbortSignal): Promise<void> {
  const address = parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  const place = `/containers/${encodeURIComponent(idOrName)}`
  const common = { tlsDirectory, letGo }
  const response = await requestEngine(address, { ...common, method: 'DELETE', path: `${place}?force=1&v=1` })
  const failure = refused(response, await text(response))
  if (failure.statusCode >= 300 && !isGone(failure)) {
    throw failure
  }
  if (failure.statusCode === 409) {
    const path = `${place}/wait?condition=removed`
    await requestEngine(address, { ...common, method: 'POST', path, timeoutMs: REMOVAL_TIMEOUT_MS })
      .then(text)
      .catch(() => {})
  }
}

/** 404: there is no such container; 409: it does not run any more, or its removal is already in progress. */
export function isGone(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}

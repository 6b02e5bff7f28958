// A process that outlives its parent, to remove containers that the parent has created but not started.
// Arguments: the run, the engine's address and, for TLS, the folder of its keys.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { LABEL } from '../../../internal/names.ts'
import { EngineApi } from '../engine/engine-api.ts'

/** How long to search after the parent has exited: the engine may still complete a request whose sender was killed. */
const WATCH_MS = 8_000
const POLL_MS = 250

const [run = '', host = '', tlsDirectory] = process.argv.slice(2)
const api = new EngineApi({ host, tlsDirectory })

// The parent sends its only message once all containers are started.
process.once('message', () => process.exit())
await once(process, 'disconnect')
const overMs = performance.now() + WATCH_MS
while (performance.now() < overMs) {
  // The engine may answer at the next attempt.
  await removeNotStarted().catch(() => {})
  await sleep(POLL_MS)
}

/** Removes the containers that were not started. A started container has a lifeline and exits by itself. */
async function removeNotStarted(): Promise<void> {
  const containers = await api.listContainers({ [LABEL.run]: run })
  const created = containers.filter(({ State }) => State === 'created')
  await Promise.all(created.map(({ Id }) => api.removeContainer(Id)))
}

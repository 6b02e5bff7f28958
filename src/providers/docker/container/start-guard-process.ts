// Outlives the process that is starting containers, to remove those that it had no time to start.
// Its arguments: the run, the engine's address and, if it takes any, the folder of its keys.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { EngineApi } from '../engine/engine-api.ts'
import { RUN_LABEL } from '../reuse/reuse-labels.ts'
import { removeContainer } from './remove-container.ts'

/** A request that was under way when its sender was killed is carried out all the same. */
const WATCH_MS = 8_000
const POLL_MS = 250

const [run = '', host = '', tlsDirectory] = process.argv.slice(2)
const engine = { host, tlsDirectory }

// The one message says that all are started.
process.once('message', () => process.exit())
await once(process, 'disconnect')
const overMs = performance.now() + WATCH_MS
while (performance.now() < overMs) {
  // An engine that cannot be asked may be so in a moment.
  await removeNotStarted().catch(() => {})
  await sleep(POLL_MS)
}

/** What was started is tied to its run, and ends by itself. */
async function removeNotStarted(): Promise<void> {
  const containers = await new EngineApi(engine).listContainers({ [RUN_LABEL]: run })
  const created = containers.filter(({ State }) => State === 'created')
  await Promise.all(created.map(({ Id }) => removeContainer(engine, Id)))
}

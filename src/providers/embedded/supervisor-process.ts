// A separate process that starts the servers, and ends them when the process that has forked it exits: their connection
// closes then, whatever the reason. Argument: the folder in which to create this run's folder.
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SupervisorMessage, SupervisorRequest } from './supervisor-protocol.ts'
import { ChildPrograms } from './child-programs.ts'
import { Lifeline } from './lifeline.ts'
import { PortReservations } from './port-reservations.ts'
import { createRunFolder } from './run-folder.ts'

/** Ten seconds of them. */
const REMOVALS = 50
const REMOVAL_PAUSE_MS = 200

const reservations = new PortReservations()
/** Awaited before this process exits, since the folder would stay otherwise. */
const opening = openFolder(process.argv[2] ?? '')
let ending: Promise<void> | undefined

process.on('message', ({ id, request }: { id: number; request: SupervisorRequest }) => {
  serve(request).then(
    (value) => say({ type: 'answer', id, value }),
    (error: Error) => say({ type: 'refusal', id, message: error.message }),
  )
})
for (const event of ['disconnect', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(event, () => {
    ending ??= end()
  })
}
try {
  const { folder } = await opening
  say({ type: 'ready', folder })
} catch (error) {
  say({ type: 'failed', message: (error as Error).message })
}

async function openFolder(parent: string) {
  const folder = await createRunFolder(parent)
  return { folder, programs: new ChildPrograms(new Lifeline(folder), (ended) => say({ type: 'ended', ...ended })) }
}

async function serve(request: SupervisorRequest): Promise<unknown> {
  const { programs } = await opening
  switch (request.verb) {
    case 'reserve':
      return reservations.reserve(request.count)
    case 'start':
      return programs.start(request.program)
    case 'interrupt':
      return programs.interrupt(request.pid)
    case 'freeze':
      return programs.freeze(request.pid)
    case 'thaw':
      return programs.thaw(request.pid)
    case 'end':
      return programs.end(request.pid)
    default:
      return request satisfies never
  }
}

async function end(): Promise<void> {
  const opened = await opening.catch(() => undefined)
  if (opened) {
    await opened.programs.endAll()
    await removeFolder(opened.folder)
  }
  // Sockets that reserve ports would keep it alive.
  process.exit()
}

/** What a server has started may outlive it for a moment, and write where everything is being removed. */
async function removeFolder(folder: string): Promise<void> {
  for (let tries = 1; tries <= REMOVALS; tries += 1) {
    const isGone = await rm(folder, { recursive: true, force: true }).then(
      () => true,
      () => false,
    )
    if (isGone) {
      return
    }
    await sleep(REMOVAL_PAUSE_MS)
  }
}

function say(message: SupervisorMessage): void {
  if (process.connected) {
    process.send?.(message, () => {})
  }
}

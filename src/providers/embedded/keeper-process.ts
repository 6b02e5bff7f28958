// A process of its own, which starts the servers and ends them when whoever asked for them is gone: the connection to it
// ends with that process, however it ended. Arguments: the folder in which to make one for this run.
import { rm } from 'node:fs/promises'
import type { KeeperMessage, KeeperRequest } from './keeper-protocol.ts'
import { KeptPrograms } from './kept-programs.ts'
import { PortReservations } from './port-reservations.ts'
import { createRunFolder } from './run-folder.ts'

const programs = new KeptPrograms((ended) => say({ type: 'ended', ...ended }))
const reservations = new PortReservations()
let folder: string | undefined
let ending: Promise<void> | undefined

process.on('message', ({ id, request }: { id: number; request: KeeperRequest }) => {
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
  folder = await createRunFolder(process.argv[2] ?? '')
  say({ type: 'ready', folder })
} catch (error) {
  say({ type: 'failed', message: (error as Error).message })
}

async function serve(request: KeeperRequest): Promise<unknown> {
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
  await programs.endAll()
  if (folder !== undefined) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  // Sockets that reserve ports would keep it alive.
  process.exit()
}

function say(message: KeeperMessage): void {
  if (process.connected) {
    process.send?.(message, () => {})
  }
}

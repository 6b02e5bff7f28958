// A separate process that starts the servers. It ends them when the connection to its parent process closes, which
// happens when the parent exits for any reason.
// Argument: the folder in which to create this run's folder.
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, answerRequest } from '../../internal/requests.ts'
import { ChildPrograms } from './child-programs.ts'
import { Lifeline } from './lifeline.ts'
import { PortReservations } from './port-reservations.ts'
import { createRunFolder } from './run-folder.ts'
import type { ExitNotice, SupervisorMethods } from './supervisor-protocol.ts'

/** The attempts to remove the folder take 10 s in all. */
const REMOVALS = 50
const REMOVAL_PAUSE_MS = 200

const reservations = new PortReservations()
/** Awaited before this process exits; otherwise the folder would not be removed. */
const opening = openFolder(process.argv[2] ?? '')
// The request `open` reports the rejection.
opening.catch(() => {})
let ending: Promise<void> | undefined

const methods: SupervisorMethods = {
  open: async () => (await opening).folder,
  reserve: (count) => reservations.reserve(count),
  start: async (program) => (await opening).programs.start(program),
  interrupt: async (pid) => (await opening).programs.interrupt(pid),
  freeze: async (pid) => (await opening).programs.freeze(pid),
  thaw: async (pid) => (await opening).programs.thaw(pid),
  end: async (pid) => (await opening).programs.end(pid),
}

process.on('message', (message: object) => void answerRequest(methods, message).then(send))
for (const event of ['disconnect', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(event, () => {
    ending ??= end()
  })
}

async function openFolder(parent: string) {
  const folder = await createRunFolder(parent)
  const programs = new ChildPrograms(new Lifeline(folder), (pid, exit) => send({ exited: pid, ...exit }))
  return { folder, programs }
}

async function end(): Promise<void> {
  const opened = await opening.catch(() => undefined)
  if (opened) {
    await opened.programs.endAll()
    await removeFolder(opened.folder)
  }
  // The sockets that reserve ports would keep this process alive.
  process.exit()
}

/**
 * Removes a folder, with retries: child processes of a server may outlive it for a moment, and write to files that are
 * being removed.
 */
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

function send(message: Answer | ExitNotice): void {
  if (process.connected) {
    process.send?.(message, () => {})
  }
}

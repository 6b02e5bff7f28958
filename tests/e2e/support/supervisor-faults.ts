import { cp, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ArmedFault, DELAY_MS, type RequestName } from './engine-faults.ts'

const SUPERVISOR = 'node_modules/vitest-infra/dist/providers/embedded/supervisor-process'
/** Where the process that starts local servers notes what it was asked. */
const NOTES = 'supervisor-requests'

/**
 * Loaded before the module of the process that starts local servers. It counts the requests to that process, and the end
 * of the connection to it. `armed`, `notes` and `delayMs` are defined before it.
 */
const PRELUDE = `
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const counts = new Map()

function strike(name) {
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  appendFileSync(notes, JSON.stringify({ name, count }) + '\\n')
  return armed?.name === name && armed.count === count ? armed.fault : undefined
}

function cut() {
  process.kill(process.pid, 'SIGKILL')
}

const emit = process.emit.bind(process)
process.emit = (event, ...values) => {
  if (event !== 'message' && event !== 'disconnect') {
    return emit(event, ...values)
  }
  const fault = strike(event === 'message' ? values[0].method : event)
  if (fault === 'cut') {
    cut()
  } else if (fault === 'refuse' && event === 'message') {
    process.send({ id: values[0].id, error: { message: 'refused by the test' } })
  } else if (fault === 'delay') {
    void sleep(delayMs).then(() => emit(event, ...values))
  } else {
    emit(event, ...values)
  }
  return true
}
`

/** Gives a project its own copy of the package, whose supervisor can be disturbed. */
export async function installFaultySupervisor(folder: string, armed?: ArmedFault): Promise<void> {
  await cp(join(folder, '../node_modules/vitest-infra'), join(folder, 'node_modules/vitest-infra'), { recursive: true })
  const configuration = JSON.stringify({ armed, notes: join(folder, NOTES), delayMs: DELAY_MS })
  await rename(join(folder, `${SUPERVISOR}.js`), join(folder, `${SUPERVISOR}-itself.js`))
  await writeFile(
    join(folder, `${SUPERVISOR}-prelude.js`),
    `const { armed, notes, delayMs } = ${configuration}\n${PRELUDE}`,
  )
  await writeFile(
    join(folder, `${SUPERVISOR}.js`),
    "import './supervisor-process-prelude.js'\nawait import('./supervisor-process-itself.js')\n",
  )
}

/** The requests to the supervisor in a project's last run. */
export async function supervisorRequests(folder: string): Promise<readonly RequestName[]> {
  const notes = await readFile(join(folder, NOTES), 'utf8')
  return notes
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RequestName)
}

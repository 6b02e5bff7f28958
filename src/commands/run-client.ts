import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { onChunks } from '../providers/docker/engine/demultiplex.ts'
import type { Execution } from '../providers/docker/engine/engine-api.ts'
import type { Host } from './command.ts'
import { findStack } from './find-stack.ts'

/** For what a program wrote last to arrive. */
const QUIET_MS = 200

/** Runs `psql` in the server's container, as the user and on the database that tests have; resolves to its exit code. */
export async function runPsql(host: Host, args: readonly string[]): Promise<number> {
  return runBeside(host, 'postgres', ['psql', ...args])
}

/** Runs `redis-cli` in the server's container; resolves to its exit code. */
export async function runRedisCli(host: Host, args: readonly string[]): Promise<number> {
  return runBeside(host, 'redis', ['redis-cli', ...args])
}

/** In the server's own container, so that nothing has to be installed here. */
async function runBeside(host: Host, service: string, command: readonly string[]): Promise<number> {
  const { spec, api, services } = await findStack(host, service)
  const { user, password, database } = spec.postgres ?? {}
  const variables = {
    // Not every image has a pager, and psql prints nothing where it finds none.
    PSQL_PAGER: '',
    ...(service === 'postgres' && { PGUSER: user, PGPASSWORD: password, PGDATABASE: database }),
    TERM: host.environment['TERM'],
  }
  const environment = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined))
  const isTerminal = host.stdin.isTTY === true && host.stdout.isTTY
  const id = services[0]?.details.Id ?? ''
  const execution = await api.execute(id, { command, environment: environment as Record<string, string>, isTerminal })
  try {
    await (isTerminal ? talkInTerminal(execution, host) : talk(execution, host))
    return await execution.exitCode()
  } finally {
    // Otherwise the terminal's input would keep this process alive.
    host.stdin.destroy()
    execution.stream.destroy()
  }
}

async function talk({ stream, exitCode }: Execution, { stdin, stdout, stderr }: Host): Promise<void> {
  onChunks(stream, (chunk, output) => (output === 'stderr' ? stderr : stdout).write(chunk))
  const closed = untilClosed(stream)
  stdin.pipe(stream)
  // The connection of a program that has not read all its input stays open when it has ended.
  await Promise.race([closed, exitCode().then(() => untilQuiet(stream))])
}

/** Resolves when nothing has come for a moment. */
async function untilQuiet(stream: Duplex): Promise<void> {
  let isQuiet = false
  stream.on('data', () => (isQuiet = false))
  while (!isQuiet) {
    isQuiet = true
    await sleep(QUIET_MS)
  }
}

/** The terminal of the program is this one: keys arrive as they are, Ctrl-C too, and it has the same size. */
async function talkInTerminal({ stream, resize }: Execution, { stdin, stdout }: Host): Promise<void> {
  // A program that has just ended has no terminal any more.
  const fit = () => void (stdout.columns > 0 && resize(stdout.columns, stdout.rows).catch(() => {}))
  fit()
  stdout.on('resize', fit)
  const closed = untilClosed(stream)
  stdin.setRawMode?.(true)
  try {
    stdin.pipe(stream).pipe(stdout, { end: false })
    await closed
  } finally {
    stdin.setRawMode?.(false)
    stdout.off('resize', fit)
  }
}

/** A program may end before it has read all its input, which is no fault of it. */
function untilClosed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.on('error', () => {}).on('close', resolve))
}

import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { onChunks } from '../providers/docker/engine/demultiplex.ts'
import type { Execution } from '../providers/docker/engine/engine-api.ts'
import type { Host } from './command.ts'
import { findStack } from './find-stack.ts'

/** Time without output in milliseconds after which a program's output counts as complete. */
const QUIET_MS = 200

/** Runs `psql` in the server's container with the user and database of the tests. Resolves to its exit code. */
export async function runPsql(host: Host, args: readonly string[]): Promise<number> {
  return runInContainer(host, 'postgres', ['psql', ...args])
}

/** Runs `redis-cli` in the server's container; resolves to its exit code. */
export async function runRedisCli(host: Host, args: readonly string[]): Promise<number> {
  return runInContainer(host, 'redis', ['redis-cli', ...args])
}

/** Runs a command in the server's container, so that no local client is necessary. */
async function runInContainer(host: Host, service: string, command: readonly string[]): Promise<number> {
  const { spec, api, services } = await findStack(host, service)
  const { user, password, database } = spec.postgres ?? {}
  const variables = {
    // psql prints nothing if its pager is missing, and not every image has one.
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
    // The input is closed, as it would otherwise keep this process running.
    host.stdin.destroy()
    execution.stream.destroy()
  }
}

async function talk({ stream, exitCode }: Execution, { stdin, stdout, stderr }: Host): Promise<void> {
  onChunks(stream, (chunk, output) => (output === 'stderr' ? stderr : stdout).write(chunk))
  const closed = untilClosed(stream)
  stdin.pipe(stream)
  // If a program exits without reading all its input, the connection stays open. Therefore the wait also ends when the
  // program has exited.
  await Promise.race([closed, exitCode().then(() => untilQuiet(stream))])
}

/** Resolves when no data has arrived for QUIET_MS. */
async function untilQuiet(stream: Duplex): Promise<void> {
  let isQuiet = false
  stream.on('data', () => (isQuiet = false))
  while (!isQuiet) {
    isQuiet = true
    await sleep(QUIET_MS)
  }
}

/**
 * Connects this terminal to the program. All keys, including Ctrl-C, are forwarded unchanged, and the terminal size is
 * kept in sync.
 */
async function talkInTerminal({ stream, resize }: Execution, { stdin, stdout }: Host): Promise<void> {
  // Errors are ignored: a program that has just exited has no terminal, so its resize fails.
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

/** Resolves when the stream is closed. Ignores errors, as a program may exit before it has read all its input. */
function untilClosed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => stream.on('error', () => {}).on('close', resolve))
}

import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { TEMPORARY_FOLDER } from '../internal/names.ts'
import { awaitExit, type Host, type ProgramExit } from './await-exit.ts'

/** Output limit in bytes, as a program in an endless loop may write gigabytes. */
const OUTPUT_LIMIT = 4 * 1024 * 1024

export interface Program {
  /** The program and its arguments; no shell interprets them. */
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
}

export interface ProgramResult {
  readonly exit: ProgramExit
  /** Output to stdout and stderr, in the order in which it was written. */
  readonly output: string
}

/** Runs a program without input. Resolves when it has exited. */
export async function runProgram(program: Program, host: Host): Promise<ProgramResult> {
  const folder = await mkdtemp(join(tmpdir(), TEMPORARY_FOLDER))
  try {
    // Both streams write to one file, which preserves their order; two pipes would not. Unlike a pipe, a file does not
    // stay open while a child process is running.
    const log = await open(join(folder, 'output'), 'a+')
    try {
      const exit = await runInto(log.fd, program, host)
      return { exit, output: await readOutput(log) }
    } finally {
      await log.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runInto(fd: number, { command, cwd, env, timeoutMs }: Program, host: Host): Promise<ProgramExit> {
  // cross-spawn also runs npm, npx and other .cmd files on Windows.
  const { default: spawn } = await import('cross-spawn')
  const isWindows = host.platform === 'win32'
  const [program, ...args] = command
  // The program gets its own process group, so that its child processes can be killed too: npm does not kill its own.
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', fd, fd], detached: !isWindows, windowsHide: true })
  const kill = (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.pid === undefined) {
      return
    }
    if (isWindows) {
      spawn('taskkill', ['/pid', String(child.pid), '/t', '/f'], { stdio: 'ignore' }).on('error', () => {})
      return
    }
    try {
      host.kill(-child.pid, signal)
    } catch {
      // The process has already exited.
    }
  }
  return awaitExit(child, { timeoutMs, host, kill })
}

async function readOutput(log: FileHandle): Promise<string> {
  const { size } = await log.stat()
  const start = Math.max(0, size - OUTPUT_LIMIT)
  const { buffer } = await log.read({ buffer: Buffer.alloc(size - start), position: start })
  const omitted = start === 0 ? '' : `(the first ${start} bytes are left out)\n`
  return omitted + stripVTControlCharacters(buffer.toString()).trimEnd()
}

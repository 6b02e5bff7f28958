import type { ChildProcess } from 'node:child_process'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

const GRACE_MS = 2_000
/** More than anybody reads; a program that repeats itself until its time is up writes gigabytes. */
const OUTPUT_LIMIT = 4 * 1024 * 1024

export interface Program {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly timeoutMs: number
}

/** How a program ended. */
export type ProgramEnd =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'killed'; readonly signal: string }
  | { readonly type: 'timed-out' }
  | { readonly type: 'not-started'; readonly error: NodeJS.ErrnoException }

export interface ProgramResult {
  readonly end: ProgramEnd
  /** What it wrote to stdout and stderr, in the order of writing. */
  readonly output: string
}

/** Runs a program to its end, without input. */
export async function runProgram(program: Program): Promise<ProgramResult> {
  const folder = await mkdtemp(join(tmpdir(), 'vitest-infra-'))
  try {
    // One file for both streams keeps their order, which two pipes lose, and waits for no grandchild that holds it open.
    const log = await open(join(folder, 'output'), 'a+')
    try {
      const end = await runInto(log.fd, program)
      return { end, output: await readOutput(log) }
    } finally {
      await log.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runInto(fd: number, { command, cwd, env, timeoutMs }: Program): Promise<ProgramEnd> {
  // It knows how Windows runs npm, npx and everything else that is a .cmd there.
  const { default: spawn } = await import('cross-spawn')
  const [program, ...args] = command
  return awaitEnd(spawn(program, args, { cwd, env, stdio: ['ignore', fd, fd], windowsHide: true }), timeoutMs)
}

function awaitEnd(child: ChildProcess, timeoutMs: number): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let killing: NodeJS.Timeout | undefined
    const terminating = setTimeout(() => {
      child.kill('SIGTERM')
      killing = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
    }, timeoutMs)
    const settle = (end: ProgramEnd) => {
      clearTimeout(terminating)
      clearTimeout(killing)
      resolve(killing ? { type: 'timed-out' } : end)
    }
    child.once('error', (error) => settle({ type: 'not-started', error }))
    child.once('exit', (code, signal) =>
      settle(code === null ? { type: 'killed', signal: signal ?? 'a signal' } : { type: 'exited', code }),
    )
  })
}

async function readOutput(log: FileHandle): Promise<string> {
  const { size } = await log.stat()
  const start = Math.max(0, size - OUTPUT_LIMIT)
  const { buffer } = await log.read({ buffer: Buffer.alloc(size - start), position: start })
  const omitted = start === 0 ? '' : `(the first ${start} bytes are left out)\n`
  return omitted + stripVTControlCharacters(buffer.toString()).trimEnd()
}

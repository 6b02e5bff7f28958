import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { Program, ProgramExit } from './supervisor-protocol.ts'
import type { Lifeline } from './lifeline.ts'
import { childrenOf, signalEach } from './process-children.ts'

/** A program that has not exited after this time is killed. */
const END_TIMEOUT_MS = 1_000

interface ChildProgram {
  readonly child: ChildProcess
  readonly endSignal: NodeJS.Signals
  readonly exited: Promise<unknown>
}

/** The running programs of a supervisor. */
export class ChildPrograms {
  readonly #running = new Map<number, ChildProgram>()
  readonly #lifeline: Lifeline
  readonly #onExit: (pid: number, exit: ProgramExit) => void
  #closed = false

  constructor(lifeline: Lifeline, onExit: (pid: number, exit: ProgramExit) => void) {
    this.#lifeline = lifeline
    this.#onExit = onExit
  }

  /** Starts a program. Resolves to its process id. */
  async start(program: Program): Promise<number> {
    const log = await open(program.log, 'a')
    try {
      if (this.#closed) {
        throw new Error('the run has ended')
      }
      return await this.#spawn(program, log)
    } finally {
      await log.close()
    }
  }

  /** Requests a clean exit, as Ctrl-C does. A frozen program continues, so that it can exit. */
  async interrupt(pid: number): Promise<void> {
    this.#signal(pid, 'SIGINT')
    await this.thaw(pid)
  }

  /**
   * Freezes a program and its children. Each child gets a signal of its own, because it may lead its own process group.
   */
  async freeze(pid: number): Promise<void> {
    if (process.platform === 'win32') {
      throw new Error('Windows cannot freeze a process')
    }
    this.#signal(pid, 'SIGSTOP')
    signalEach(await childrenOf(pid), 'SIGSTOP')
  }

  async thaw(pid: number): Promise<void> {
    signalEach(await childrenOf(pid), 'SIGCONT')
    this.#signal(pid, 'SIGCONT')
  }

  /** Ends a program. Resolves when it has exited. */
  async end(pid: number): Promise<void> {
    const program = this.#running.get(pid)
    if (!program) {
      return
    }
    this.#signal(pid, program.endSignal)
    // A frozen process does not act on most signals.
    await this.thaw(pid)
    const timer = setTimeout(() => this.#signal(pid, 'SIGKILL'), END_TIMEOUT_MS)
    await program.exited
    clearTimeout(timer)
  }

  /** Ends all programs. Later starts fail. */
  async endAll(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#running.keys()].map((pid) => this.end(pid)))
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    const program = this.#running.get(pid)
    if (program) {
      signalGroup(program.child, signal)
    }
  }

  #hold(): void {
    this.#lifeline.hold([...this.#running].map(([pid, { endSignal }]) => ({ pid, endSignal })))
  }

  async #spawn({ file, args, environment, folder, input, account, endSignal }: Program, log: FileHandle) {
    const child = spawn(file, [...args], {
      cwd: folder,
      env: { ...environment },
      stdio: [input === undefined ? 'ignore' : 'pipe', log.fd, log.fd],
      // The program leads its own process group, so that Ctrl-C in a terminal does not reach the servers.
      detached: true,
      windowsHide: true,
      ...account,
    })
    child.stdin?.on('error', () => {}).end(input)
    if (child.pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error]
      throw error
    }
    const { pid } = child
    const { promise: exited, resolve } = Promise.withResolvers<void>()
    this.#running.set(pid, { child, endSignal, exited })
    this.#hold()
    child
      .on('error', () => {})
      .once('exit', (code, signal) => {
        this.#running.delete(pid)
        this.#hold()
        this.#onExit(pid, { code, signal })
        resolve()
      })
    return pid
  }
}

/**
 * Sends a signal to the whole process group. Windows has neither process groups nor other signals, so there the process
 * is killed.
 */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (process.platform !== 'win32') {
    try {
      process.kill(-(child.pid ?? Number.NaN), signal)
    } catch {
      // The process has exited, but its exit event has not been emitted yet.
    }
  } else if (signal !== 'SIGCONT') {
    child.kill(signal)
  }
}

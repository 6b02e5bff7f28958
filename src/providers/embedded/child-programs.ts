import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { Ending, Program } from './supervisor-protocol.ts'
import type { Lifeline } from './lifeline.ts'
import { childrenOf, signalEach } from './process-children.ts'

/** Time after which a program that was asked to end is ended. */
const PATIENCE_MS = 1_000

interface ChildProgram {
  readonly child: ChildProcess
  readonly endSignal: NodeJS.Signals
  readonly ended: Promise<unknown>
}

/** The programs that a supervisor has started and that run. */
export class ChildPrograms {
  readonly #running = new Map<number, ChildProgram>()
  readonly #lifeline: Lifeline
  readonly #onEnded: (ended: Ending & { readonly pid: number }) => void
  #closed = false

  constructor(lifeline: Lifeline, onEnded: (ended: Ending & { readonly pid: number }) => void) {
    this.#lifeline = lifeline
    this.#onEnded = onEnded
  }

  /** Resolves with its process id. */
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

  /** Asks it to end as its operator would. */
  async interrupt(pid: number): Promise<void> {
    this.#signal(pid, 'SIGINT')
    await this.thaw(pid)
  }

  /** Freezes it, with its children, each of which may lead a process group of its own. */
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

  /** Resolves when it has ended. */
  async end(pid: number): Promise<void> {
    const program = this.#running.get(pid)
    if (!program) {
      return
    }
    this.#signal(pid, program.endSignal)
    // What is frozen would not hear of it.
    await this.thaw(pid)
    const timer = setTimeout(() => this.#signal(pid, 'SIGKILL'), PATIENCE_MS)
    await program.ended
    clearTimeout(timer)
  }

  /** Ends all, and starts no more. */
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
      // A process group of its own, so that Ctrl-C in a terminal does not reach the servers.
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
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    this.#running.set(pid, { child, endSignal, ended })
    this.#hold()
    child
      .on('error', () => {})
      .once('exit', (code, signal) => {
        this.#running.delete(pid)
        this.#hold()
        this.#onEnded({ pid, code, signal })
        resolve()
      })
    return pid
  }
}

/** With whatever it has started in its group; Windows has no groups, and of the signals only the end. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (process.platform !== 'win32') {
    try {
      process.kill(-(child.pid ?? Number.NaN), signal)
    } catch {
      // It has ended, and only its exit is not yet known.
    }
  } else if (signal !== 'SIGCONT') {
    child.kill(signal)
  }
}

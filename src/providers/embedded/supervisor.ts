import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { type Answer, type Link, type Request, RequestClient } from '../../internal/requests.ts'
import { forkDetached } from '../fork-detached.ts'
import type { ExitNotice, Program, ProgramExit, SupervisorMethods } from './supervisor-protocol.ts'

const ENTRY = 'providers/embedded/supervisor-process'

/** The exit of a program whose supervisor has exited before it. */
const UNKNOWN_EXIT: ProgramExit = { code: null, signal: null }

/** A program that a supervisor has started. */
export interface ChildProgram {
  readonly pid: number
  /** How the program exited; undefined while it is running. */
  readonly exit: ProgramExit | undefined
  /** Resolves when the program has exited. Does not keep this process alive until then. */
  readonly exited: Promise<ProgramExit>
  /** Resolves like `exited`, but keeps this process alive until then. */
  awaitExit(): Promise<ProgramExit>
  /** Requests a clean exit, as Ctrl-C does. */
  interrupt(): Promise<void>
  /** Freezes the program and its child processes. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Ends the program. Resolves when it has exited. */
  end(): Promise<void>
}

/** Starts programs in a separate process, which ends them and removes its folder when this process exits. */
export class Supervisor {
  /** The supervisor's own folder, which is removed when the supervisor exits. */
  readonly folder: string
  readonly #process: ChildProcess
  readonly #link: ProcessLink
  readonly #requests: RequestClient<SupervisorMethods>
  readonly #exits = new Map<number, PromiseWithResolvers<ProgramExit>>()

  private constructor(link: ProcessLink, requests: RequestClient<SupervisorMethods>, folder: string) {
    this.folder = folder
    this.#process = link.child
    this.#link = link
    this.#requests = requests
    const { child } = link
    child.on('message', (message: Answer | ExitNotice) => {
      if ('exited' in message) {
        this.#exitOf(message.exited).resolve({ code: message.code, signal: message.signal })
      }
    })
    child.once('disconnect', () => {
      requests.close()
      this.#exits.forEach(({ resolve }) => resolve(UNKNOWN_EXIT))
    })
    child.unref()
  }

  /**
   * Starts a supervisor.
   *
   * @param parent the folder in which the supervisor creates its own folder
   */
  static async open(parent: string, environment: Readonly<Record<string, string>>): Promise<Supervisor> {
    const child = forkDetached(ENTRY, [parent], { environment })
    const link = new ProcessLink(child)
    const requests = new RequestClient<SupervisorMethods>(link)
    child.on('message', (message: Answer | ExitNotice) => 'id' in message && requests.receive(message))
    try {
      const folder = await Promise.race([requests.remote.open(), failed(child)])
      return new Supervisor(link, requests, folder)
    } catch (error) {
      if (child.connected) {
        child.disconnect()
      }
      throw error
    }
  }

  /** Reserves ports of 127.0.0.1 that no other supervisor uses while this one is running. */
  async reservePorts(count: number): Promise<readonly number[]> {
    return count === 0 ? [] : this.#requests.remote.reserve(count)
  }

  async start(program: Program): Promise<ChildProgram> {
    const { remote } = this.#requests
    const pid = await remote.start(program)
    const { promise: exited } = this.#exitOf(pid)
    let exit: ProgramExit | undefined
    void exited
      .then((known) => (exit = known))
      // A later process may get the same id.
      .then(() => this.#exits.delete(pid))
    return {
      pid,
      exited,
      awaitExit: () => this.#requests.hold(exited),
      get exit() {
        return exit
      },
      interrupt: () => remote.interrupt(pid),
      freeze: () => remote.freeze(pid),
      thaw: () => remote.thaw(pid),
      end: async () => {
        await (this.#process.connected ? remote.end(pid) : undefined)
      },
    }
  }

  /** Ends the supervisor and its programs; resolves when they have exited and its folder is removed. */
  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      if (!this.#link.isDetached) {
        this.#process.ref()
      }
      const exited = once(this.#process, 'exit')
      if (this.#process.connected) {
        this.#process.disconnect()
      }
      await exited
    }
  }

  /**
   * Allows this process to exit while requests are pending. The supervisor ends its programs once this process has
   * exited.
   */
  detach(): void {
    this.#link.isDetached = true
    this.#process.unref()
    this.#process.channel?.unref()
  }

  /**
   * Returns the exit of a program, and creates it if necessary: a program may exit before the answer to its start
   * arrives.
   */
  #exitOf(pid: number): PromiseWithResolvers<ProgramExit> {
    const known = this.#exits.get(pid) ?? Promise.withResolvers<ProgramExit>()
    this.#exits.set(pid, known)
    return known
  }
}

class ProcessLink implements Link {
  readonly child: ChildProcess
  readonly closed = { message: 'the process that keeps the servers has ended' }
  isDetached = false

  constructor(child: ChildProcess) {
    this.child = child
    child.on('error', () => {})
  }

  send(request: Request): boolean {
    return this.child.connected && (this.child.send(request), true)
  }

  hold(isAwaited: boolean): void {
    if (!isAwaited) {
      this.child.channel?.unref()
    } else if (!this.isDetached) {
      this.child.channel?.ref()
    }
  }
}

/** One supervisor for all services of a run. It is opened for the first service and closed after the last one. */
export class SharedSupervisor {
  readonly #open: () => Promise<Supervisor>
  #supervisor: Promise<Supervisor> | undefined
  #users = 0

  constructor(parent: string, environment: Readonly<Record<string, string>>) {
    this.#open = () => Supervisor.open(parent, environment)
  }

  /** Opens the supervisor if necessary. Each caller must call `release`, also if this call rejects. */
  acquire(): Promise<Supervisor> {
    this.#users += 1
    this.#supervisor ??= this.#open()
    return this.#supervisor
  }

  async release(): Promise<void> {
    this.#users -= 1
    if (this.#users === 0) {
      const supervisor = this.#supervisor
      this.#supervisor = undefined
      await supervisor?.then(
        (open) => open.close(),
        () => {},
      )
    }
  }
}

async function failed(child: ChildProcess): Promise<never> {
  const [reason] = (await Promise.race([once(child, 'exit'), once(child, 'error')])) as [number | null | Error]
  throw reason instanceof Error ? reason : new Error(`the process that keeps the servers ended with code ${reason}`)
}

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { forkBeside } from '../fork-beside.ts'
import type { Ending, SupervisorMessage, SupervisorRequest, Program } from './supervisor-protocol.ts'

const ENTRY = 'providers/embedded/supervisor-process'

const GONE: Ending = { code: null, signal: null }

/** A program that a supervisor has started. */
export interface ChildProgram {
  readonly pid: number
  /** Undefined while it runs. */
  readonly ending: Ending | undefined
  /** Resolves when it has ended, without keeping this process alive until then. */
  readonly ended: Promise<Ending>
  /** Resolves when it has ended, and keeps this process alive until then. */
  whenEnded(): Promise<Ending>
  /** Asks it to end as its operator would. */
  interrupt(): Promise<void>
  /** Freezes it, with all its processes. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Resolves when it has ended, too. */
  end(): Promise<void>
}

/**
 * Starts programs in a separate process, which ends them and removes its folder when this process exits.
 */
export class Supervisor {
  /** A folder of its own, which goes with it. */
  readonly folder: string
  readonly #process: ChildProcess
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #endings = new Map<number, PromiseWithResolvers<Ending>>()
  #requests = 0
  #waiting = 0
  #isDetached = false

  private constructor(child: ChildProcess, folder: string) {
    this.#process = child
    this.folder = folder
    child.on('error', () => {}).on('message', (message: SupervisorMessage) => this.#hear(message))
    child.once('disconnect', () => this.#giveUp())
    child.unref()
    child.channel?.unref()
  }

  /** @param parent the folder in which it makes its own */
  static async open(parent: string, environment: Readonly<Record<string, string>>): Promise<Supervisor> {
    const child = forkBeside(ENTRY, [parent], { environment })
    const [message] = (await Promise.race([once(child, 'message'), failed(child)])) as [SupervisorMessage]
    if (message.type !== 'ready') {
      child.disconnect()
      throw new Error(message.type === 'failed' ? message.message : 'its supervisor says what nobody expects')
    }
    return new Supervisor(child, message.folder)
  }

  /** Ports of 127.0.0.1 that no other supervisor takes while this one is there. */
  async reservePorts(count: number): Promise<readonly number[]> {
    return count === 0 ? [] : ((await this.#ask({ verb: 'reserve', count })) as readonly number[])
  }

  async start(program: Program): Promise<ChildProgram> {
    const pid = (await this.#ask({ verb: 'start', program })) as number
    const { promise: ended } = this.#endingOf(pid)
    let ending: Ending | undefined
    void ended
      .then((known) => (ending = known))
      // Its number may be given to another one.
      .then(() => this.#endings.delete(pid))
    return {
      pid,
      ended,
      whenEnded: () => this.#waitFor(ended),
      get ending() {
        return ending
      },
      interrupt: async () => void (await this.#ask({ verb: 'interrupt', pid })),
      freeze: async () => void (await this.#ask({ verb: 'freeze', pid })),
      thaw: async () => void (await this.#ask({ verb: 'thaw', pid })),
      end: async () => void (this.#process.connected && (await this.#ask({ verb: 'end', pid }))),
    }
  }

  /** Resolves when all that it started has ended, and its folder is gone. */
  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      if (!this.#isDetached) {
        this.#process.ref()
      }
      const over = once(this.#process, 'exit')
      if (this.#process.connected) {
        this.#process.disconnect()
      }
      await over
    }
  }

  /** From now on nothing that it is asked keeps this process alive: it ends what it started once this process is gone. */
  detach(): void {
    this.#isDetached = true
    this.#process.unref()
    this.#process.channel?.unref()
  }

  async #ask(request: SupervisorRequest): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>()
    const id = (this.#requests += 1)
    this.#asked.set(id, answer)
    if (this.#process.connected) {
      this.#process.send({ id, request })
    } else {
      this.#giveUp()
    }
    return this.#waitFor(answer.promise)
  }

  #hear(message: SupervisorMessage): void {
    switch (message.type) {
      case 'answer':
        this.#asked.get(message.id)?.resolve(message.value)
        this.#asked.delete(message.id)
        break
      case 'refusal':
        this.#asked.get(message.id)?.reject(new Error(message.message))
        this.#asked.delete(message.id)
        break
      case 'ended':
        this.#endingOf(message.pid).resolve({ code: message.code, signal: message.signal })
        break
    }
  }

  /** The connection keeps this process alive while an answer is awaited, and only then. */
  async #waitFor<T>(outcome: Promise<T>): Promise<T> {
    this.#waiting += 1
    if (!this.#isDetached) {
      this.#process.channel?.ref()
    }
    try {
      return await outcome
    } finally {
      this.#waiting -= 1
      if (this.#waiting === 0) {
        this.#process.channel?.unref()
      }
    }
  }

  #giveUp(): void {
    this.#asked.forEach(({ reject }) => reject(new Error('the process that keeps the servers has ended')))
    this.#asked.clear()
    this.#endings.forEach(({ resolve }) => resolve(GONE))
  }

  /** A program may end before it is known that it has started. */
  #endingOf(pid: number): PromiseWithResolvers<Ending> {
    const known = this.#endings.get(pid) ?? Promise.withResolvers<Ending>()
    this.#endings.set(pid, known)
    return known
  }
}

async function failed(child: ChildProcess): Promise<never> {
  const [reason] = (await Promise.race([once(child, 'exit'), once(child, 'error')])) as [number | null | Error]
  throw reason instanceof Error ? reason : new Error(`the process that keeps the servers ended with code ${reason}`)
}

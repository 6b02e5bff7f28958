import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceDefinition, InstanceAction, ServerInstance } from '../../services/service.ts'
import { createOwned } from './account.ts'
import { copyFolder } from './copy-folder.ts'
import type { Supervisor, ChildProgram } from './supervisor.ts'
import { awaitListening, type LocalProgram, readLogTail } from './local-program.ts'

const LOG_LINES = 5
/** A server that has not shut down after this time is killed. */
const STOP_TIMEOUT_MS = 3_000

export interface LocalInstanceOptions {
  readonly supervisor: Supervisor
  readonly program: LocalProgram
  readonly definition: ServiceDefinition
  readonly environment: Readonly<Record<string, string>>
  /** The folder from which the data of the instance is copied; undefined for empty data. */
  readonly base: string | undefined
  /** Contains the data and the logs of all instances. */
  readonly folder: string
  readonly port: number
}

/** An additional server of a service: a local process with its own port. */
export class LocalInstance implements ServerInstance {
  readonly address
  readonly #options: LocalInstanceOptions
  readonly #data: string
  readonly #log: string
  #running: ChildProgram | undefined
  #words: readonly string[] = []
  #last: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: LocalInstanceOptions) {
    const { folder, port } = options
    this.#options = options
    this.address = { host: 'localhost', port }
    this.#data = join(folder, String(port))
    this.#log = join(folder, `${port}.log`)
  }

  restart(words: readonly string[] = []): Promise<void> {
    return this.#inTurn(async () => {
      this.#words = words
      await this.#running?.end()
      await this.#resetData()
      await this.#start()
    })
  }

  end(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#running?.end()
      await rm(this.#data, { recursive: true, force: true })
    })
  }

  control(action: InstanceAction): Promise<void> {
    return this.#inTurn(async () => {
      switch (action) {
        case 'start':
          await this.#running?.end()
          return this.#start()
        case 'stop':
          return this.#stop()
        case 'pause':
          return this.#running?.freeze()
        case 'resume':
          return this.#running?.thaw()
        default:
          return action satisfies never
      }
    })
  }

  /** Ends the instance permanently; it cannot be started again. */
  close(): Promise<void> {
    this.#closed = true
    return this.#inTurn(async () => this.#running?.end())
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #stop(): Promise<void> {
    const running = this.#running
    if (running?.exit === undefined) {
      await running?.interrupt()
      const exited = new AbortController()
      const timeout = sleep(STOP_TIMEOUT_MS, undefined, { signal: exited.signal }).catch(() => {})
      await Promise.race([running?.exited, timeout]).finally(() => exited.abort())
      await running?.end()
    }
  }

  async #resetData(): Promise<void> {
    const { supervisor, program, base, environment, folder } = this.#options
    await rm(this.#data, { recursive: true, force: true })
    if (base === undefined) {
      await createOwned(this.#data, program.account)
    } else {
      await copyFolder(base, this.#data, { supervisor, environment, folder, log: this.#log })
    }
  }

  async #start(): Promise<void> {
    const { supervisor, program, definition, environment, port } = this.#options
    if (this.#closed) {
      throw new Error('the run is ending')
    }
    const [, ...words] = definition.instances?.command(String(port), this.#data) ?? []
    const { file, account, endSignal } = program
    this.#running = await supervisor.start({
      file,
      args: program.instanceArguments([...words, ...this.#words]),
      environment,
      folder: this.#data,
      log: this.#log,
      endSignal,
      ...(account && { account }),
    })
    // Until the server listens, another program may answer on the port.
    if ((await awaitListening(this.#running, port, () => !this.#closed)) === 'exited') {
      throw new Error(`it ended at once: ${await readLogTail(this.#log, LOG_LINES)}`)
    }
  }
}

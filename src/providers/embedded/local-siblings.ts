import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServiceDefinition, SiblingAction, SiblingServer } from '../../services/service.ts'
import { createOwned } from './account.ts'
import type { Keeper, KeptProgram } from './keeper.ts'
import { awaitListening, type LocalProgram, readLogTail } from './local-program.ts'
import { runToEnd } from './run-to-end.ts'

const LOG_LINES = 5

export interface LocalSiblingOptions {
  readonly keeper: Keeper
  readonly program: LocalProgram
  readonly definition: ServiceDefinition
  readonly environment: Readonly<Record<string, string>>
  /** Holds the data and the log of all. */
  readonly folder: string
  readonly port: number
}

/** One more process of a service's program, on a port of its own. */
export class LocalSibling implements SiblingServer {
  readonly address
  readonly #options: LocalSiblingOptions
  readonly #data: string
  readonly #log: string
  #running: KeptProgram | undefined
  #last: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: LocalSiblingOptions) {
    const { folder, port } = options
    this.#options = options
    this.address = { host: 'localhost', port }
    this.#data = join(folder, String(port))
    this.#log = join(folder, `${port}.log`)
  }

  restart(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#running?.end()
      await this.#renewData()
      await this.#start()
    })
  }

  control(action: SiblingAction): Promise<void> {
    return this.#inTurn(async () => {
      switch (action) {
        case 'start':
          return this.#start()
        case 'stop':
          await this.#running?.signal('SIGINT')
          await this.#running?.whenEnded()
          return
        case 'pause':
          return this.#running?.signal('SIGSTOP')
        case 'resume':
          return this.#running?.signal('SIGCONT')
        default:
          return action satisfies never
      }
    })
  }

  /** Ends it, and lets it not be started again. */
  close(): Promise<void> {
    this.#closed = true
    return this.#inTurn(async () => this.#running?.end())
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #renewData(): Promise<void> {
    const { keeper, program, definition, environment } = this.#options
    const { account } = program
    await rm(this.#data, { recursive: true, force: true })
    await createOwned(this.#data, account)
    const { prepare } = definition.siblings ?? {}
    if (prepare !== undefined) {
      const place = { keeper, folder: this.#data, log: this.#log, account }
      await runToEnd('sh', ['-c', prepare], { ...place, environment: { ...environment, folder: this.#data } })
    }
  }

  async #start(): Promise<void> {
    const { keeper, program, definition, environment, port } = this.#options
    if (this.#closed) {
      throw new Error('the run is ending')
    }
    const [, ...words] = definition.siblings?.command(String(port), this.#data) ?? []
    const { file, account, endSignal } = program
    this.#running = await keeper.start({
      file,
      args: program.siblingArguments(words),
      environment,
      folder: this.#data,
      log: this.#log,
      endSignal,
      ...(account && { account }),
    })
    // Whoever asks the port before could be answered by another program.
    if ((await awaitListening(this.#running, port, () => !this.#closed)) === 'ended') {
      throw new Error(`it ended at once: ${await readLogTail(this.#log, LOG_LINES)}`)
    }
  }
}

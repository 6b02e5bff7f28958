import { rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { unlessAbandoned } from '../../internal/abortable.ts'
import { exitCodeOf } from '../../internal/exit-code.ts'
import type {
  Address,
  ServerInstance,
  HealthcheckResult,
  ServerExit,
  ServerStatus,
  StartedService,
} from '../../services/service.ts'
import type { Supervisor, ChildProgram } from './supervisor.ts'
import type { ProgramExit } from './supervisor-protocol.ts'
import { type LocalProgram, readLogTail } from './local-program.ts'
import type { LocalInstance } from './local-instances.ts'

export interface EmbeddedServiceOptions {
  readonly name: string
  readonly port: number
  readonly supervisor: Supervisor
  readonly server: ChildProgram
  readonly program: LocalProgram
  readonly instances: readonly LocalInstance[]
  /** The folder that contains all files that the server writes. */
  readonly folder: string
  readonly data: string
  readonly log: string
  /** Called once, when the server has stopped and its folder is removed. */
  readonly onStopped: () => Promise<void>
}

/** A local process that was started for a service. */
export class EmbeddedService implements StartedService {
  readonly address: Address
  readonly label: string
  readonly instances: readonly ServerInstance[]
  /** No snapshot: only the initialised data directory is cached and copied, templates are not. */
  readonly snapshot = { kind: 'none' } as const
  readonly exited: Promise<ServerExit>
  readonly #options: EmbeddedServiceOptions
  #stopping: Promise<void> | undefined

  constructor(options: EmbeddedServiceOptions) {
    const { name, port, server, instances } = options
    this.#options = options
    this.address = { host: 'localhost', port }
    this.label = `${name} (pid ${server.pid})`
    this.exited = server.exited.then(toServerExit)
    // Plain objects, because callers copy them with the spread operator, which omits the methods of a class.
    this.instances = instances.map((instance) => ({
      address: instance.address,
      restart: (words) => instance.restart(words),
      end: () => instance.end(),
      control: (action) => instance.control(action),
    }))
  }

  /**
   * Checks only that the process is running. The declared healthcheck is a shell command for a container, and needs
   * programs that only the image has, such as `pg_isready`. The health gate also sends a real query, which decides
   * whether a local server is ready.
   */
  async runHealthcheck(): Promise<HealthcheckResult> {
    return this.#options.server.exit === undefined
      ? { passed: true, output: 'its process runs; the declared command is for containers' }
      : { passed: false, output: 'its process has ended' }
  }

  async takeBase(): Promise<void> {
    const { server, program, data, folder } = this.#options
    if (!program.takeBase) {
      return
    }
    const [base, next] = [join(folder, 'base'), join(folder, 'next-base')]
    await rm(next, { recursive: true, force: true })
    await server.freeze()
    try {
      await program.takeBase(data, next, () => server.thaw())
    } finally {
      await server.thaw()
    }
    await rm(base, { recursive: true, force: true })
    await rename(next, base)
  }

  async freeBytes(): Promise<number | undefined> {
    const { bavail, bsize } = await statfs(this.#options.folder)
    return bavail * bsize
  }

  async status(): Promise<ServerStatus> {
    const { exit } = this.#options.server
    return exit === undefined ? { running: true } : toServerExit(exit)
  }

  logTail(count: number, sinceMs?: number): Promise<string> {
    return readLogTail(this.#options.log, count, sinceMs)
  }

  async stop(abandon?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop().catch((error: unknown) => {
      this.#stopping = undefined
      throw error
    })
    await (abandon ? unlessAbandoned(this.#stopping, abandon) : this.#stopping)
    if (abandon?.aborted) {
      this.#options.supervisor.detach()
    }
  }

  async #stop(): Promise<void> {
    const { server, instances, folder, onStopped } = this.#options
    await Promise.all([server.end(), ...instances.map((instance) => instance.close())])
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    await onStopped()
  }
}

function toServerExit({ code, signal }: ProgramExit): ServerExit {
  return { running: false, exitCode: exitCodeOf(code, signal), outOfMemory: false }
}

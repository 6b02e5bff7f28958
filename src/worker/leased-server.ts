import type { CurrentLease } from './file-lease.ts'
import type { LeasedService, ServerAction } from '../leasing/lease-source.ts'

/**
 * Controls the server that this file has leased for a service. Each method rejects with an InfraError
 * `INFRA_SERVICE_SHARED` if other files use the server too; set `postgres.isolation` or `redis.isolation` to
 * `'server'`.
 */
export interface ServiceControl {
  /** Shuts the server down and starts it again; resolves when it answers. */
  restart(): Promise<void>
  /** Shuts the server down: clients are disconnected, and new ones refused. */
  stop(): Promise<void>
  /** Starts a stopped server, or resumes a paused one; resolves when it answers. */
  start(): Promise<void>
  /** Pauses the server: connections stay open, but it answers nothing. */
  pause(): Promise<void>
  /** Resumes a paused server; resolves when it answers. */
  resume(): Promise<void>
}

/** Implements {@link ServiceControl} for one test. */
export class LeasedServer implements ServiceControl {
  readonly #lease: CurrentLease
  readonly #service: LeasedService
  readonly #actions: Promise<void>[] = []

  constructor(lease: CurrentLease, service: LeasedService) {
    this.#lease = lease
    this.#service = service
  }

  readonly restart = (): Promise<void> => this.#control('restart')
  readonly stop = (): Promise<void> => this.#control('stop')
  readonly start = (): Promise<void> => this.#control('start')
  readonly pause = (): Promise<void> => this.#control('pause')
  readonly resume = (): Promise<void> => this.#control('resume')

  /** Waits for all actions of this test, and then starts or resumes the server for the next test. */
  async restore(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#actions)
    if (outcomes.some(({ status }) => status === 'fulfilled')) {
      await this.start()
    }
  }

  #control(action: ServerAction): Promise<void> {
    const { client, lease } = this.#lease
    const pending = client.control(lease.lease, this.#service, action)
    this.#actions.push(pending)
    return pending
  }
}

import type { CurrentLease } from './file-lease.ts'
import type { LeasedService, ServerAction } from '../leasing/lease-protocol.ts'

/**
 * The server of one service that this file has for itself. Each method rejects with an InfraError `INFRA_SERVICE_SHARED`
 * where other files use it too: `postgres.isolation` or `redis.isolation` has to be `'server'`.
 */
export interface ServiceControl {
  /** Stops it in good order and starts it again; resolves when it answers. */
  restart(): Promise<void>
  /** Stops it in good order: clients are cut off, and new ones refused. */
  stop(): Promise<void>
  /** Starts it if it was stopped, resumes it if it was paused; resolves when it answers. */
  start(): Promise<void>
  /** Freezes it: connections stay, and nothing is answered. */
  pause(): Promise<void>
  /** Resumes a paused one; resolves when it answers. */
  resume(): Promise<void>
}

/** The same, as long as a test lasts. */
export class LeasedServer implements ServiceControl {
  readonly #lease: CurrentLease
  readonly #service: LeasedService
  readonly #asked: Promise<void>[] = []

  constructor(lease: CurrentLease, service: LeasedService) {
    this.#lease = lease
    this.#service = service
  }

  readonly restart = (): Promise<void> => this.#control('restart')
  readonly stop = (): Promise<void> => this.#control('stop')
  readonly start = (): Promise<void> => this.#control('start')
  readonly pause = (): Promise<void> => this.#control('pause')
  readonly resume = (): Promise<void> => this.#control('resume')

  /** Has it serve the next test, whatever this one did and did not await. */
  async bringBack(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#asked)
    if (outcomes.some(({ status }) => status === 'fulfilled')) {
      await this.start()
    }
  }

  #control(action: ServerAction): Promise<void> {
    const { client, lease } = this.#lease
    const asked = client.control(lease.lease, this.#service, action)
    this.#asked.push(asked)
    return asked
  }
}

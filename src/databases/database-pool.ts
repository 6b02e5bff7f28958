import { InfraError } from '../errors.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'

/** Each ready clone takes memory, and few machines run more workers than this at once. */
const MAX_TARGET = 16

export interface DatabasePoolOptions {
  readonly admin: Pick<PostgresAdmin, 'createDatabase'>
  /** The sealed template that every database is a clone of. */
  readonly template: string
  /** Prefix of the clones' names; no other run on the server may use the same one. */
  readonly prefix: string
  /** How many clones to keep ready. */
  readonly target: number
  /** Awaited before a clone is created ahead of time. */
  readonly pause: () => Promise<void>
}

/** Clones of one template. Some are created ahead of time. */
export class DatabasePool {
  readonly #options: DatabasePoolOptions
  readonly #ready: string[] = []
  readonly #used: string[] = []
  readonly #waiting: PromiseWithResolvers<string>[] = []
  #target: number
  #created = 0
  #filling: Promise<void> | undefined
  #closed = false

  constructor(options: DatabasePoolOptions) {
    this.#options = options
    this.#target = options.target
  }

  /** Name of the template that is cloned. */
  get template(): string {
    return this.#options.template
  }

  /** Acquires a clone: a ready one at once, else the next one that is created. */
  acquire(): Promise<string> {
    const taken = Promise.withResolvers<string>()
    const ready = this.#ready.shift()
    if (this.#closed) {
      taken.reject(poolClosed())
    } else if (ready === undefined) {
      // This request has to wait, so more should be ready next time.
      this.#target = Math.min(this.#target + 1, MAX_TARGET)
      this.#waiting.push(taken)
      void this.fill()
    } else {
      taken.resolve(ready)
      void this.#options.pause().then(() => this.fill())
    }
    return taken.promise
  }

  /** Takes back a clone that is unchanged; returns false if the pool does not need it. */
  reclaim(clone: string): boolean {
    const isWanted = !this.#closed && this.#ready.length < MAX_TARGET
    if (isWanted) {
      this.#hand(clone)
    }
    return isWanted
  }

  /** Acquires a clone that {@link keepUsed} has kept, the latest first: most likely the same worker released it. */
  acquireUsed(): string | undefined {
    return this.#used.pop()
  }

  /** Keeps a clone for reuse in its present state; returns false once the pool is closed. */
  keepUsed(database: string): boolean {
    if (!this.#closed) {
      this.#used.push(database)
    }
    return !this.#closed
  }

  /** Creates clones until the target is reached. */
  fill(): Promise<void> {
    if (this.#isShort()) {
      this.#filling ??= this.#createClones()
    }
    return this.#filling ?? Promise.resolve()
  }

  /** Stops creating clones and rejects pending requests; resolves to the clones that are not leased. */
  async close(): Promise<readonly string[]> {
    this.#closed = true
    await this.#filling
    this.#waiting.splice(0).forEach(({ reject }) => reject(poolClosed()))
    return [...this.#ready.splice(0), ...this.#used.splice(0)]
  }

  #isShort(): boolean {
    return !this.#closed && (this.#waiting.length > 0 || this.#ready.length < this.#target)
  }

  async #createClones(): Promise<void> {
    try {
      do {
        this.#hand(await this.#createClone())
      } while (this.#isShort())
    } catch (error) {
      // Pending requests fail. The next request tries again.
      this.#waiting.splice(0).forEach(({ reject }) => reject(error))
    } finally {
      // No await may be between the last check and this line: a request that came in between would never be served.
      this.#filling = undefined
    }
  }

  async #createClone(): Promise<string> {
    const { admin, template, prefix } = this.#options
    this.#created += 1
    const name = `${prefix}${this.#created}`
    await admin.createDatabase(name, template)
    return name
  }

  #hand(clone: string): void {
    const next = this.#waiting.shift()
    if (next) {
      next.resolve(clone)
    } else {
      this.#ready.push(clone)
    }
  }
}

function poolClosed(): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: 'Cannot lease a database: its template is being rebuilt, or the run is ending',
    remedy: 'Run the tests again',
    service: 'postgres',
  })
}

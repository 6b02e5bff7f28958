import { InfraError } from '../errors.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'

/** More than any worker count here could use at once; each ready clone costs its size in memory. */
const MAX_TARGET = 16

export interface DatabasePoolOptions {
  readonly admin: Pick<PostgresAdmin, 'createDatabase'>
  /** The sealed template that every database is a clone of. */
  readonly template: string
  /** What the names of the clones begin with; no other run on the server may have the same. */
  readonly prefix: string
  /** How many clones to keep ready. */
  readonly target: number
  /** Awaited before a clone is made ahead of time. */
  readonly breath: () => Promise<void>
}

/** Clones of one template, some of them made ahead of time. */
export class DatabasePool {
  readonly #options: DatabasePoolOptions
  readonly #ready: string[] = []
  readonly #used: string[] = []
  readonly #waiting: PromiseWithResolvers<string>[] = []
  #target: number
  #made = 0
  #filling: Promise<void> | undefined
  #closed = false

  constructor(options: DatabasePoolOptions) {
    this.#options = options
    this.#target = options.target
  }

  /** What the clones are clones of. */
  get template(): string {
    return this.#options.template
  }

  /** Acquires a clone: at once if one is ready, else the next one made. */
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
      void this.#options.breath().then(() => this.fill())
    }
    return taken.promise
  }

  /** Takes a clone back that is as it was given; returns whether the pool has use for it. */
  reclaim(clone: string): boolean {
    const isWanted = !this.#closed && this.#ready.length < MAX_TARGET
    if (isWanted) {
      this.#hand(clone)
    }
    return isWanted
  }

  /** A clone to be reused as it is; the last one first, which most likely is the worker's own. */
  acquireUsed(): string | undefined {
    return this.#used.pop()
  }

  /** Keeps a clone to be reused as it is; returns false once the pool is closed. */
  keepUsed(database: string): boolean {
    if (!this.#closed) {
      this.#used.push(database)
    }
    return !this.#closed
  }

  /** Makes clones until as many are ready as should be. */
  fill(): Promise<void> {
    if (this.#isShort()) {
      this.#filling ??= this.#makeClones()
    }
    return this.#filling ?? Promise.resolve()
  }

  /** Stops making clones and rejects pending requests; resolves to the clones that are not leased. */
  async close(): Promise<readonly string[]> {
    this.#closed = true
    await this.#filling
    this.#waiting.splice(0).forEach(({ reject }) => reject(poolClosed()))
    return [...this.#ready.splice(0), ...this.#used.splice(0)]
  }

  #isShort(): boolean {
    return !this.#closed && (this.#waiting.length > 0 || this.#ready.length < this.#target)
  }

  async #makeClones(): Promise<void> {
    try {
      do {
        this.#hand(await this.#makeClone())
      } while (this.#isShort())
    } catch (error) {
      // Pending requests fail; the next one tries again.
      this.#waiting.splice(0).forEach(({ reject }) => reject(error))
    } finally {
      // In the same turn as the last check, so that no request can come between the two.
      this.#filling = undefined
    }
  }

  async #makeClone(): Promise<string> {
    const { admin, template, prefix } = this.#options
    this.#made += 1
    const name = `${prefix}${this.#made}`
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
    problem: 'Cannot lease a database: its template is being made anew, or the run is ending',
    remedy: 'Run the tests again',
    service: 'postgres',
  })
}

import type { PostgresAdmin } from '../services/postgres-admin.ts'

/** More than any worker count here could use at once; each ready clone costs its size in memory. */
const MAX_TARGET = 16

export interface DatabasePoolOptions {
  readonly admin: PostgresAdmin
  /** The sealed template that every database is a clone of. */
  readonly template: string
  /** What the names of the clones begin with; no other run on the server may have the same. */
  readonly prefix: string
  /** How many clones to keep ready. */
  readonly target: number
}

/** Clones of one template, made ahead of those who will ask for them. */
export class DatabasePool {
  readonly #options: DatabasePoolOptions
  readonly #ready: string[] = []
  readonly #waiting: PromiseWithResolvers<string>[] = []
  #target: number
  #made = 0
  #filling: Promise<void> | undefined
  #closed = false

  constructor(options: DatabasePoolOptions) {
    this.#options = options
    this.#target = options.target
  }

  /** A clone that nobody else has: at once if one is ready, else the next one made. */
  take(): Promise<string> {
    const ready = this.#ready.shift()
    const taken = Promise.withResolvers<string>()
    if (ready === undefined) {
      // Somebody has to wait, so more should be ready next time.
      this.#target = Math.min(this.#target + 1, MAX_TARGET)
      this.#waiting.push(taken)
    } else {
      taken.resolve(ready)
    }
    void this.fill()
    return taken.promise
  }

  /** Makes clones until as many are ready as should be. */
  fill(): Promise<void> {
    this.#filling ??= this.#makeClones().finally(() => (this.#filling = undefined))
    return this.#filling
  }

  /** Ends the making of clones; resolves to those that nobody took. */
  async close(): Promise<readonly string[]> {
    this.#closed = true
    await this.#filling
    return this.#ready.splice(0)
  }

  async #makeClones(): Promise<void> {
    while (!this.#closed && (this.#waiting.length > 0 || this.#ready.length < this.#target)) {
      try {
        this.#hand(await this.#makeClone())
      } catch (error) {
        // Who waits is told; who asks next tries again.
        this.#waiting.splice(0).forEach(({ reject }) => reject(error))
        return
      }
    }
  }

  async #makeClone(): Promise<string> {
    const { admin, template, prefix } = this.#options
    this.#made += 1
    const name = `${prefix}${this.#made}`
    await admin.createDatabase(name, template)
    return name
  }

  #hand(name: string): void {
    const next = this.#waiting.shift()
    if (next) {
      next.resolve(name)
    } else {
      this.#ready.push(name)
    }
  }
}

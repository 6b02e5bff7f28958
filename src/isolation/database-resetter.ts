import { InfraError, messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import { PristineCopy } from './reset/pristine-copy.ts'
import { resetDatabase, type ResetMark } from './reset-database.ts'

/** Longer than any query that a test fires and forgets. */
const WAIT_MS = 5_000

export interface DatabaseResetterOptions {
  readonly admin: PostgresAdmin
  /** What the names of the run's databases begin with. */
  readonly prefix: string
  readonly clock: Clock
  /** Told what somebody made and a reset dropped, the first time that it is dropped in the run. */
  readonly onDropped: (objects: readonly string[]) => void
}

/** Resets databases that their users stay connected to, with one untouched clone of each template to compare them with. */
export class DatabaseResetter {
  readonly #options: DatabaseResetterOptions
  readonly #pristine = new Map<string, Promise<PristineCopy>>()
  readonly #marks = new Map<string, ResetMark>()
  readonly #dropped = new Set<string>()

  constructor(options: DatabaseResetterOptions) {
    this.#options = options
  }

  /** Makes `database` what it was as a new clone of `template`; see {@link resetDatabase}. */
  async reset(database: string, template: string): Promise<void> {
    try {
      await this.#reset(database, template)
    } catch (error) {
      throw error instanceof InfraError ? error : resetFailed(database, error)
    }
  }

  async #reset(database: string, template: string): Promise<void> {
    const { admin, clock } = this.#options
    const pristine = await this.#pristineOf(template)
    const mark = this.#marks.get(database) ?? pristine.content
    const address = { ...admin.address, database }
    const outcome = await resetDatabase({ address, pristine, mark, clock, waitMs: WAIT_MS })
    this.#marks.set(database, outcome.mark)
    this.#tell(outcome.dropped)
  }

  #tell(dropped: readonly string[]): void {
    const news = dropped.filter((object) => !this.#dropped.has(object))
    if (news.length > 0) {
      news.forEach((object) => this.#dropped.add(object))
      this.#options.onDropped(news)
    }
  }

  #pristineOf(template: string): Promise<PristineCopy> {
    const known = this.#pristine.get(template)
    if (known) {
      return known
    }
    const copy = this.#copy(template, this.#pristine.size).catch((error: unknown) => {
      this.#pristine.delete(template)
      throw error
    })
    this.#pristine.set(template, copy)
    return copy
  }

  async #copy(template: string, index: number): Promise<PristineCopy> {
    const { admin, prefix } = this.#options
    const database = `${prefix}pristine_${index}`
    await admin.createDatabase(database, template)
    return PristineCopy.read({ ...admin.address, database }, template)
  }
}

function resetFailed(database: string, error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: ${messageOf(error)}`,
    remedy: 'Leave isolate at true, so that every file is given a database of its own',
    service: 'postgres',
    cause: error,
  })
}

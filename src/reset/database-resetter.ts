import { InfraError, messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { FirstSeen } from '../internal/first-seen.ts'
import type { Report } from '../report/events.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { LastUse } from '../leasing/lease-source.ts'
import { PristineCopy } from './pristine-copy.ts'
import { resetDatabase, type ResetMark, type ResetOptions, type ResetOutcome } from './reset-database.ts'

/** Timeout in milliseconds for open transactions and locks; longer than most queries that tests do not await. */
const WAIT_MS = 5_000

export interface DatabaseResetterOptions {
  readonly admin: PostgresAdmin
  /** Prefix of the names of the run's databases. */
  readonly prefix: string
  readonly clock: Clock
  readonly report: Report
}

/** Resets databases while their users stay connected. Keeps one pristine clone of each template for comparison. */
export class DatabaseResetter {
  readonly #options: DatabaseResetterOptions
  readonly #pristine = new Map<string, Promise<PristineCopy>>()
  readonly #marks = new Map<string, ResetMark>()
  readonly #reported = new FirstSeen()

  constructor(options: DatabaseResetterOptions) {
    this.#options = options
  }

  /** Makes `database` equal to a new clone of `template`; see {@link resetDatabase}. */
  async reset(database: string, template: string, use: LastUse): Promise<void> {
    const isFirst = !this.#marks.has(database)
    const { dropped, late } = await this.#reset(database, template, { use, isClone: true })
    this.#reportDropped(use.file, dropped)
    const news = late.filter(({ session, query }) => this.#reported.is(`${database} ${session} ${query}`))
    if (news.length > 0) {
      this.#options.report({
        type: 'statements-late',
        service: 'postgres',
        file: use.file,
        isFirst,
        statements: news,
      })
    }
  }

  /** Makes the main database, which an earlier run has used, equal to `template`. */
  async resetMain(database: string, template: string): Promise<void> {
    const file = 'an earlier run'
    const { dropped } = await this.#reset(database, template, { use: { file, idleMs: 0 }, isClone: false })
    this.#reportDropped(file, dropped)
  }

  async #reset(
    database: string,
    template: string,
    options: Pick<ResetOptions, 'use' | 'isClone'>,
  ): Promise<ResetOutcome> {
    const { admin, clock } = this.#options
    try {
      const pristine = await this.#pristineOf(template)
      const mark = this.#marks.get(database) ?? pristine.content
      const address = { ...admin.address, database }
      const outcome = await resetDatabase({ address, pristine, mark, clock, waitMs: WAIT_MS, ...options })
      this.#marks.set(database, outcome.mark)
      return outcome
    } catch (error) {
      throw error instanceof InfraError ? error : resetFailed(database, error)
    }
  }

  #reportDropped(file: string, dropped: readonly string[]): void {
    const objects = dropped.filter((object) => this.#reported.is(object))
    if (objects.length > 0) {
      this.#options.report({ type: 'objects-dropped', file, objects })
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
    remedy: 'Leave isolate at true, so that every file gets a new database',
    service: 'postgres',
    cause: error,
  })
}

import type { Clock } from '../internal/clock.ts'
import type { FailedTest, Leased, LogExcerpt } from './lease-source.ts'

/** Pause between two counts of open connections. It delays every file of a suite that never closes its pools. */
const SETTLE_MS = 50
/** A count is final once it has been repeated this many times. */
const EQUAL_COUNTS = 2
const MOST_FILES = 20
/**
 * The maximum number of failed tests per run for which the server's log is read. Reading it takes some milliseconds.
 */
const MOST_TESTS = 20

export interface FileReportsOptions {
  readonly clock: Clock
  /** Called with the names of the connections that a file has left open. */
  readonly onConnectionsLeft: (owner: string, sessions: readonly string[]) => void
  /** Called with the server's log about a failed test. */
  readonly onLog: (owner: string, log: LogExcerpt) => void
}

/** Reports the connections that test files leave open, and the server's log about failed tests. */
export class FileReports {
  readonly #options: FileReportsOptions
  #files = 0
  #tests = 0

  constructor(options: FileReportsOptions) {
    this.#options = options
  }

  /** Resets the counts that limit the reports. Call it before each run of watch mode. */
  beginRun(): void {
    this.#files = 0
    this.#tests = 0
  }

  async reportConnections(owner: string, leased: Leased): Promise<void> {
    const sessions = this.#files < MOST_FILES ? await this.#sessionsLeft(leased) : []
    if (sessions.length > 0) {
      this.#files += 1
      this.#options.onConnectionsLeft(owner, sessions)
    }
  }

  /** Reports the server's log about failed tests. Resolves to the logs that were read, in the order of `tests`. */
  async reportLogs(
    owner: string,
    { database, sources }: Leased,
    tests: readonly FailedTest[],
  ): Promise<readonly LogExcerpt[]> {
    const { databases, stack } = sources
    const reported = tests.slice(0, MOST_TESTS - this.#tests)
    this.#tests += reported.length
    if (reported.length === 0) {
      return []
    }
    // If the log cannot be read, only the test's own error is reported.
    const logs = (await databases.logsOf?.(database ?? stack.postgres.database, reported).catch(() => [])) ?? []
    reported.forEach(({ name }, index) => {
      const log = logs[index]
      if (log && log.lines.length > 0) {
        this.#options.onLog(`${owner} > ${name}`, log)
      }
    })
    return logs
  }

  /**
   * Resolves to the sessions that stay open. Counts repeatedly, because the server lists a session for some
   * milliseconds after its client has closed it.
   */
  async #sessionsLeft({ database, sources }: Leased): Promise<readonly string[]> {
    if (database === undefined) {
      return []
    }
    for (let before = 0, equal = 0; ;) {
      const sessions = await sources.databases.sessionsOf(database)
      equal = sessions.length === before ? equal + 1 : 0
      if (sessions.length === 0 || equal === EQUAL_COUNTS) {
        return sessions
      }
      before = sessions.length
      await this.#options.clock.sleep(SETTLE_MS)
    }
  }
}

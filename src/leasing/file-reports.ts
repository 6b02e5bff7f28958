import type { Clock } from '../internal/clock.ts'
import type { FailedTest, Leased, LogExcerpt } from './lease-source.ts'

/** In a suite that never closes its pools every file leaves connections open, and each count takes this long. */
const SETTLE_MS = 50
/** A count that has not changed so often is final. */
const EQUAL_COUNTS = 2
const MOST_FILES = 20
/** Reading a log takes some milliseconds, so it is read for the first failed tests of a run only. */
const MOST_TESTS = 20

export interface FileReportsOptions {
  readonly clock: Clock
  /** Called for a file that ended with open connections, with their names. */
  readonly onConnectionsLeft: (owner: string, sessions: readonly string[]) => void
  /** Called with the server's log of a failed test. */
  readonly onLog: (owner: string, log: LogExcerpt) => void
}

/** Reports what files leave behind: open connections, and the server's log of tests that failed. */
export class FileReports {
  readonly #options: FileReportsOptions
  #files = 0
  #tests = 0

  constructor(options: FileReportsOptions) {
    this.#options = options
  }

  /** Each run of watch mode has its own reports. */
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

  /** Resolves to the log of each of the tests, as far as it was read. */
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
    // The test keeps its own error if the log cannot be read.
    const logs = (await databases.logsOf?.(database ?? stack.postgres.database, reported).catch(() => [])) ?? []
    reported.forEach(({ name }, index) => {
      const log = logs[index]
      if (log && log.lines.length > 0) {
        this.#options.onLog(`${owner} > ${name}`, log)
      }
    })
    return logs
  }

  /** The server lists a session for some milliseconds after its client has closed it. */
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

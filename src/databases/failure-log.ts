import { randomUUID } from 'node:crypto'
import type { Clock } from '../internal/clock.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { LogEntry } from '../services/postgres-log.ts'
import type { FailedTest, LogExcerpt } from '../leasing/lease-source.ts'

/** Maximum number of log lines to read: enough for a verbose server and a slow test file. Older lines are not read. */
const MOST_LINES_READ = 5_000
const MOST_LINES_SENT = 100
const MOST_CHARACTERS = 1_000

const POLL_MS = 10
/** If the mark has not appeared by then, the server writes its log elsewhere (`logging_collector`). */
const LOG_TIMEOUT_MS = 3_000

export interface FailureLogOptions {
  readonly admin: Pick<PostgresAdmin, 'writeLogMark'>
  readonly read: (count: number, sinceMs: number) => Promise<string>
  readonly parse: (log: string) => readonly LogEntry[]
  /** Removes secrets from a line. */
  readonly redact: (line: string) => string
  readonly clock: Clock
}

/** Finds the lines of a server's log that belong to failed tests. Reads nothing until a test fails. */
export class FailureLog {
  readonly #options: FailureLogOptions
  #isReadable = true

  constructor(options: FailureLogOptions) {
    this.#options = options
  }

  /** Returns, for each failed test that used `database`, the lines that the server logged during the test. */
  async of(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]> {
    const mark = `vitest-infra ${randomUUID()}`
    const aheadMs = await this.#writeMark(mark)
    const entries = await this.#readUpTo(mark, Math.min(...tests.map(({ fromMs }) => fromMs)) + aheadMs)
    return tests.map((test) => {
      const own = entries.filter((entry) => isOf(entry, { ...test, database, aheadMs }))
      return this.#excerpt(own.flatMap(({ lines }) => lines))
    })
  }

  /**
   * Writes a mark to the server's log. Resolves to the number of milliseconds by which the server's clock is ahead of
   * the local one, as the server may be on another machine.
   */
  async #writeMark(mark: string): Promise<number> {
    const beganMs = Date.now()
    const serverMs = Math.floor(await this.#options.admin.writeLogMark(mark))
    const endedMs = Date.now()
    return serverMs >= beganMs && serverMs <= endedMs ? 0 : serverMs - (beganMs + endedMs) / 2
  }

  /**
   * Reads the log until it contains the mark. Log lines appear with a delay but in order, so every earlier line is
   * readable once the mark is.
   */
  async #readUpTo(mark: string, sinceMs: number): Promise<readonly LogEntry[]> {
    const { clock, read, parse } = this.#options
    const deadlineMs = clock.now() + LOG_TIMEOUT_MS
    while (this.#isReadable) {
      const log = await read(MOST_LINES_READ, sinceMs)
      if (log.includes(mark)) {
        return parse(log)
      }
      this.#isReadable = clock.now() < deadlineMs
      await clock.sleep(POLL_MS)
    }
    return []
  }

  #excerpt(lines: readonly string[]): LogExcerpt {
    const sent = lines.slice(0, MOST_LINES_SENT).map((line) => this.#options.redact(shorten(line)))
    return { lines: sent, more: lines.length - sent.length }
  }
}

interface TestWindow extends FailedTest {
  readonly database: string
  readonly aheadMs: number
}

function isOf({ database, atMs }: LogEntry, test: TestWindow): boolean {
  // A failed test's own database is not leased again, so all its later lines belong to the test. Its earlier lines may
  // belong to another test.
  const isOwn = database !== undefined && test.databases.includes(database)
  const isSince = atMs === undefined || atMs >= Math.floor(test.fromMs + test.aheadMs)
  const isUntil = atMs === undefined || atMs <= test.toMs + test.aheadMs
  return isSince && (isOwn || (database === test.database && isUntil))
}

function shorten(line: string): string {
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS)} …` : line
}

import { randomUUID } from 'node:crypto'
import type { Clock } from '../internal/clock.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { LogEntry } from '../services/postgres-log.ts'
import type { FailedTest, LogExcerpt } from '../leasing/lease-protocol.ts'

/** What a chatty server writes within a slow test file; more is neither read nor sent. */
const MOST_LINES_READ = 5_000
const MOST_LINES_SENT = 100
const MOST_CHARACTERS = 1_000

const POLL_MS = 10
/** A log that does not show a line by then goes somewhere else (`logging_collector`). */
const PATIENCE_MS = 3_000

export interface FailureLogOptions {
  readonly admin: Pick<PostgresAdmin, 'writeLogMark'>
  readonly read: (count: number, sinceMs: number) => Promise<string>
  readonly parse: (log: string) => readonly LogEntry[]
  /** Takes secrets out of a line. */
  readonly redact: (line: string) => string
  readonly clock: Clock
}

/** What a server's log says of tests that failed. Nothing is read as long as none did. */
export class FailureLog {
  readonly #options: FailureLogOptions
  #isThere = true

  constructor(options: FailureLogOptions) {
    this.#options = options
  }

  /** For each of the tests, which ran on `database`, what the server wrote meanwhile. */
  async of(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]> {
    const mark = `vitest-infra ${randomUUID()}`
    const aheadMs = await this.#write(mark)
    const entries = await this.#readUpTo(mark, Math.min(...tests.map(({ fromMs }) => fromMs)) + aheadMs)
    return tests.map((test) => {
      const own = entries.filter((entry) => isOf(entry, { ...test, database, aheadMs }))
      return this.#excerpt(own.flatMap(({ lines }) => lines))
    })
  }

  /** Resolves to how far the server's clock, which may be that of another machine, is ahead of this one's. */
  async #write(mark: string): Promise<number> {
    const beganMs = Date.now()
    const serverMs = Math.floor(await this.#options.admin.writeLogMark(mark))
    const endedMs = Date.now()
    return serverMs >= beganMs && serverMs <= endedMs ? 0 : serverMs - (beganMs + endedMs) / 2
  }

  /** A line is in the log some time after the client has its error; once a later line is there, it is, too. */
  async #readUpTo(mark: string, sinceMs: number): Promise<readonly LogEntry[]> {
    const { clock, read, parse } = this.#options
    const deadlineMs = clock.now() + PATIENCE_MS
    while (this.#isThere) {
      const log = await read(MOST_LINES_READ, sinceMs)
      if (log.includes(mark)) {
        return parse(log)
      }
      this.#isThere = clock.now() < deadlineMs
      await clock.sleep(POLL_MS)
    }
    return []
  }

  #excerpt(lines: readonly string[]): LogExcerpt {
    const sent = lines.slice(0, MOST_LINES_SENT).map((line) => this.#options.redact(shorten(line)))
    return { lines: sent, more: lines.length - sent.length }
  }
}

interface Whereabouts extends FailedTest {
  readonly database: string
  readonly aheadMs: number
}

function isOf({ database, atMs }: LogEntry, test: Whereabouts): boolean {
  // One that a test failed in goes to no other, but may have been that of the test before.
  const isOwn = database !== undefined && test.databases.includes(database)
  const isSince = atMs === undefined || atMs >= Math.floor(test.fromMs + test.aheadMs)
  const isUntil = atMs === undefined || atMs <= test.toMs + test.aheadMs
  return isSince && (isOwn || (database === test.database && isUntil))
}

function shorten(line: string): string {
  return line.length > MOST_CHARACTERS ? `${line.slice(0, MOST_CHARACTERS)} …` : line
}

import type { RedisAddress } from '../environment/variable-set.ts'
import { FirstSeen } from '../internal/first-seen.ts'
import type { Report } from '../report/events.ts'
import { RedisMonitor } from '../services/redis-monitor.ts'

/** Maximum duration of a recording; longer than a worker needs between two files. */
const LISTEN_MS = 1_000

/**
 * Reports clients that still use a Redis after their test file has ended, if the worker's next file gets the same
 * Redis. Typical causes are a timer, a loop, a child process, or a client that waits for data, such as a queue worker.
 */
export class LateCommands {
  readonly #report: Report
  /** The monitor of each Redis, by its key; undefined if the server does not permit MONITOR. */
  readonly #monitors = new Map<string, Promise<RedisMonitor | undefined>>()
  /** Keys of the Redis instances that more than one file has used. */
  readonly #shared = new Set<string>()
  readonly #reported = new FirstSeen()

  constructor(report: Report) {
    this.#report = report
  }

  /** Starts to record commands when a file ends. Resolves once commands are recorded; never rejects. */
  async listen(address: RedisAddress): Promise<void> {
    const key = keyOf(address)
    this.#stop(key)
    const monitor = RedisMonitor.open(address, LISTEN_MS).catch(() => undefined)
    this.#monitors.set(key, monitor)
    await monitor
  }

  /** Reports the recorded commands. Call it before the next file starts; `file` is the file that has ended. */
  async report(address: RedisAddress, file: string): Promise<void> {
    const key = keyOf(address)
    const isFirst = !this.#shared.has(key)
    this.#shared.add(key)
    const monitor = await this.#monitors.get(key)
    // An error is ignored: if the server does not answer, the reset fails and reports it.
    const late = monitor ? await findLate(address, monitor).catch(() => []) : []
    this.#stop(key)
    // Only the command's name counts, as its arguments may differ each time.
    const news = late.filter(({ session, query }) => this.#reported.is(`${key} ${session} ${query.split(' ', 1)[0]}`))
    if (news.length > 0) {
      this.#report({ type: 'statements-late', service: 'redis', file, isFirst, statements: news })
    }
  }

  /** Stops the recording when the lease ends. */
  forget(address: RedisAddress): void {
    const key = keyOf(address)
    this.#stop(key)
    this.#shared.delete(key)
  }

  #stop(key: string): void {
    void this.#monitors.get(key)?.then((monitor) => monitor?.close())
    this.#monitors.delete(key)
  }
}

async function findLate(
  { database }: RedisAddress,
  monitor: RedisMonitor,
): Promise<{ session: string; query: string }[]> {
  const recorded = await monitor.finish()
  // A lease without a database number covers the whole server.
  const isLeased = (of: { readonly database: number }) => database === undefined || of.database === database
  const [commands, clients] = [recorded.commands.filter(isLeased), recorded.clients.filter(isLeased)]
  const names = new Map(clients.map(({ from, name }) => [from, name]))
  const senders = new Set(commands.map(({ from }) => from))
  const waiting = clients.filter(({ from, isBlocked }) => isBlocked && !senders.has(from))
  return [
    ...commands.map(({ from, words }) => ({ session: names.get(from) ?? '', query: words.join(' ') })),
    ...waiting.map(({ name, command }) => ({ session: name, query: command })),
  ]
}

function keyOf({ port, database = 0 }: RedisAddress): string {
  return `${port}/${database}`
}

import type { RedisAddress } from '../environment/variable-set.ts'
import { FirstSeen } from '../internal/first-seen.ts'
import type { Report } from '../report/events.ts'
import { RedisMonitor } from '../services/redis-monitor.ts'

/** Longer than a worker takes from one file to the next. */
const LISTEN_MS = 1_000

/**
 * Reports what still uses a Redis whose file is over, where the next file of a worker is given the same one: a timer, a
 * loop, a process, or a client that waits for data, such as a queue's worker.
 */
export class LateCommands {
  readonly #report: Report
  /** Undefined where we may not listen. */
  readonly #monitors = new Map<string, Promise<RedisMonitor | undefined>>()
  /** Those that more than one file has had. */
  readonly #inherited = new Set<string>()
  readonly #reported = new FirstSeen()

  constructor(report: Report) {
    this.#report = report
  }

  /** To be called when a file is over; resolves when what comes after that is heard, and never rejects. */
  async listen(address: RedisAddress): Promise<void> {
    const key = keyOf(address)
    this.#stop(key)
    const monitor = RedisMonitor.open(address, LISTEN_MS).catch(() => undefined)
    this.#monitors.set(key, monitor)
    await monitor
  }

  /** To be called before the next file has it; `file` is the one that is over. */
  async report(address: RedisAddress, file: string): Promise<void> {
    const key = keyOf(address)
    const isFirst = !this.#inherited.has(key)
    this.#inherited.add(key)
    const monitor = await this.#monitors.get(key)
    // A server that does not answer fails the reset, which reports it.
    const late = monitor ? await findLate(address, monitor).catch(() => []) : []
    this.#stop(key)
    // What a command is about may be something else each time.
    const news = late.filter(({ session, query }) => this.#reported.is(`${key} ${session} ${query.split(' ', 1)[0]}`))
    if (news.length > 0) {
      this.#report({ type: 'statements-late', service: 'redis', file, isFirst, statements: news })
    }
  }

  /** To be called when its lease is over. */
  forget(address: RedisAddress): void {
    const key = keyOf(address)
    this.#stop(key)
    this.#inherited.delete(key)
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
  const heard = await monitor.finish()
  // A lease without a number is a whole server.
  const isLeased = (of: { readonly database: number }) => database === undefined || of.database === database
  const [commands, clients] = [heard.commands.filter(isLeased), heard.clients.filter(isLeased)]
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

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Redis } from 'ioredis'
import { CONNECTION } from '../internal/names.ts'
import type { RedisAddress } from '../environment/variable-set.ts'
import { createMonitor, withRedis } from './redis.ts'
import { type ConnectedClient, listClients, INSPECTION_COMMANDS } from './redis-admin.ts'

const ANSWER_TIMEOUT_MS = 1_000

/** A command, and the address of its client as the server sees it. */
export interface HeardCommand {
  readonly words: readonly string[]
  readonly from: string
  readonly database: number
}

/**
 * Records the commands that clients send to a Redis, except for those of `withRedis()` and for commands that change
 * nothing.
 */
export class RedisMonitor {
  readonly #address: RedisAddress
  readonly #client: Redis
  /** Addresses of our own connections. */
  readonly #own = new Set<string>()
  /** The last command of each client, by the client's address. */
  readonly #heard = new Map<string, HeardCommand>()
  readonly #mark = randomBytes(16).toString('hex')
  readonly #marked = Promise.withResolvers<void>()

  private constructor(address: RedisAddress, client: Redis) {
    this.#address = address
    this.#client = client
    client
      .on('error', () => {})
      .on('monitor', (_time: string, words: string[], from: string, database: string) =>
        this.#hear({ words, from, database: Number(database) }),
      )
      .once('end', () => this.#marked.resolve())
  }

  /**
   * Starts recording. Rejects if the server refuses. Recording stops after `timeoutMs`, even if the server does not
   * answer.
   */
  static async open(address: RedisAddress, timeoutMs: number): Promise<RedisMonitor> {
    const client = await createMonitor(address)
    const monitor = new RedisMonitor(address, client)
    const timer = setTimeout(() => client.disconnect(), timeoutMs)
    client.once('end', () => clearTimeout(timer))
    try {
      // If the server refuses, the client emits an error instead of this event.
      await Promise.all([once(client, 'monitoring'), client.connect()])
      return monitor
    } catch (error) {
      client.disconnect()
      throw error
    }
  }

  /** Stops recording. Returns the last command of each client that has sent one, and the connected clients. */
  async finish(): Promise<{
    readonly commands: readonly HeardCommand[]
    readonly clients: readonly ConnectedClient[]
  }> {
    const look = (client: Redis) => Promise.all([listClients(client), client.echo(this.#mark)])
    try {
      const [clients] = await withRedis(this.#address, look, { timeoutMs: ANSWER_TIMEOUT_MS })
      // Commands that were sent before the mark arrive before it.
      await this.#marked.promise
      return { commands: [...this.#heard.values()], clients }
    } finally {
      this.close()
    }
  }

  close(): void {
    this.#client.disconnect()
  }

  #hear(command: HeardCommand): void {
    const { words, from } = command
    const [name = '', word = '', last = ''] = words
    if (/^client setname$/i.test(`${name} ${word}`) && last === CONNECTION) {
      this.#own.add(from)
    } else if (word === this.#mark) {
      this.#marked.resolve()
    } else if (from !== 'lua' && !this.#own.has(from) && !INSPECTION_COMMANDS.has(name.toLowerCase())) {
      this.#heard.set(from, command)
    }
  }
}

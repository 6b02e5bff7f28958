import { RedisServers } from '../isolation/redis-servers.ts'
import { findSeedFiles } from '../seeds/find-seed-files.ts'
import { loadRedisFiles } from '../seeds/load-redis-files.ts'
import { defineRedis, withRedis } from '../services/redis.ts'
import { readConfiguration } from '../services/redis-admin.ts'
import type { Address, HealthyServer, ServiceDefinition } from '../services/service.ts'
import type { ResolvedRedis } from '../spec/resolve-spec.ts'
import type { PartContext } from './postgres-part.ts'

/** Redis in a stack: the server, its seeds, and the servers that are leased beside it. */
export class RedisPart {
  readonly definition: ServiceDefinition
  readonly #files: readonly string[]
  readonly #context: PartContext
  #servers: RedisServers | undefined

  private constructor(spec: ResolvedRedis, files: readonly string[], context: PartContext) {
    this.#files = files
    this.#context = context
    // One for each worker's file, and as many again for tests that want one of their own.
    this.definition = { ...defineRedis(spec, context.workers * 2), prepare: (server) => this.#prepare(server) }
  }

  static async plan(spec: ResolvedRedis, context: PartContext): Promise<RedisPart> {
    return new RedisPart(spec, await findSeedFiles('redis', { root: context.root, seeds: spec.seeds }), context)
  }

  /** The servers to lease, once the first one is prepared. */
  get servers(): RedisServers | undefined {
    return this.#servers
  }

  async #prepare({ address, siblings }: HealthyServer): Promise<void> {
    const { clock, report, workers } = this.#context
    const beganMs = clock.now()
    await this.#seed(address)
    if (this.#files.length > 0) {
      report({ type: 'seeds-loaded', service: 'redis', files: this.#files.length, elapsedMs: clock.now() - beganMs })
    }
    this.#servers = new RedisServers({
      siblings,
      target: workers + 1,
      clock,
      configuration: await readConfiguration(address),
      seed: (sibling) => this.#seed(sibling),
    })
    this.#servers.fill()
  }

  async #seed(address: Address): Promise<void> {
    if (this.#files.length > 0) {
      await withRedis(address, (client) => loadRedisFiles(client, this.#files, this.#context.root))
    }
  }
}

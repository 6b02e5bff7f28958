import type { RedisAddress } from '../environment/variable-set.ts'
import { hashFiles } from './hash-files.ts'
import { findSeedFiles } from '../seeds/find-seed-files.ts'
import type { RedisCommandClient } from '../seeds/load-redis-files.ts'
import { withRedis } from '../services/redis.ts'
import type { ResolvedRedis } from '../config/resolve-spec.ts'

/** The seed files that are loaded into every leased Redis. */
export class RedisSeeds {
  readonly #spec: ResolvedRedis
  readonly #root: string
  #files: readonly string[]
  #digest: string

  /**
   * Finds the seed files.
   *
   * @throws InfraError `INFRA_SEED_MISSING` if a configured file does not exist
   */
  constructor(spec: ResolvedRedis, root: string) {
    this.#spec = spec
    this.#root = root
    this.#files = this.#find()
    this.#digest = hashFiles(this.#files, root)
  }

  /** Number of seed files. */
  get count(): number {
    return this.#files.length
  }

  /** Reads the files again; returns whether they have changed. */
  refresh(): boolean {
    const before = this.#digest
    this.#files = this.#find()
    this.#digest = hashFiles(this.#files, this.#root)
    return this.#digest !== before
  }

  /** Loads the files into a Redis. `limit` may wrap the client that runs their commands. */
  async load(address: RedisAddress, limit = (client: RedisCommandClient) => client): Promise<void> {
    if (this.#files.length > 0) {
      const { loadRedisFiles } = await import('../seeds/load-redis-files.ts')
      await withRedis(address, (client) => loadRedisFiles(limit(client), this.#files, this.#root))
    }
  }

  #find(): readonly string[] {
    return findSeedFiles('redis', { root: this.#root, seeds: this.#spec.seeds })
  }
}

import type { RedisCommandClient } from './load-redis-files.ts'

/** What reaches beyond the database that a client is in; of `COPY`, only with `DB`. */
const BEYOND = new Set(
  [
    'ACL',
    'BGREWRITEAOF',
    'BGSAVE',
    'CLIENT',
    'CLUSTER',
    'CONFIG',
    'DEBUG',
    'EVAL',
    'EVALSHA',
    'FAILOVER',
    'FCALL',
  ].concat(
    ['FLUSHALL', 'FUNCTION', 'LATENCY', 'MIGRATE', 'MODULE', 'MOVE', 'REPLICAOF', 'RESET', 'SAVE', 'SCRIPT', 'SELECT'],
    ['SHUTDOWN', 'SLAVEOF', 'SLOWLOG', 'SWAPDB', 'SYNC', 'PSYNC'],
  ),
)

/** A client for seeds on a server that others use too: refuses, before it is sent, what would reach beyond its database. */
export function ownDatabaseOnly(client: RedisCommandClient): RedisCommandClient {
  return {
    async call(command, ...args) {
      const name = command.toUpperCase()
      if (BEYOND.has(name) || (name === 'COPY' && args.some((word) => String(word).toUpperCase() === 'DB'))) {
        throw new Error(`it reaches beyond the database of the lease, and the server is not ours alone`)
      }
      return client.call(command, ...args)
    },
  }
}

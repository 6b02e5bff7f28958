import type { RedisCommandClient } from './load-redis-files.ts'

/** Commands that affect more than the client's own database. `COPY` does so only with the option `DB`. */
const FORBIDDEN = new Set(
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

/** Returns a client for seeds on a shared server. It rejects commands that affect more than its own database. */
export function ownDatabaseOnly(client: RedisCommandClient): RedisCommandClient {
  return {
    async call(command, ...args) {
      const name = command.toUpperCase()
      if (FORBIDDEN.has(name) || (name === 'COPY' && args.some((word) => String(word).toUpperCase() === 'DB'))) {
        throw new Error(`it affects more than the database of the lease, and others use the server too`)
      }
      return client.call(command, ...args)
    },
  }
}

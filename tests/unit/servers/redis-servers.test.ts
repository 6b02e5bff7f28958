import { expect, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { LateCommands } from '../../../src/databases/late-commands.ts'
import { RedisServers } from '../../../src/servers/redis-servers.ts'

/** A server that does not answer. */
function openSilent({ startupTimeoutMs }: { startupTimeoutMs: number }): RedisServers {
  return new RedisServers({
    main: { host: '127.0.0.1', port: 1 },
    // Nothing listens on port 1.
    instances: [
      {
        address: { host: '127.0.0.1', port: 1 },
        restart: async () => {},
        end: async () => {},
        control: async () => {},
      },
    ],
    target: 1,
    clock: systemClock,
    startupTimeoutMs,
    state: { configuration: new Map(), users: new Map() },
    seed: async () => {},
    onReplaced: () => {},
    onClientsLeft: () => {},
    late: new LateCommands(() => {}),
  })
}

// Without this, a run whose container was removed would query its instances for another ten seconds.
test('RedisServers.close() rejects pending requests', async () => {
  const servers = openSilent({ startupTimeoutMs: 60_000 })
  const taken = servers.acquire({ reuse: false })
  servers.close()
  await expect(taken).rejects.toThrow('the run is ending')
})

// With a fixed timeout, nine of fifty parallel runs failed on two busy cores.
test('RedisServers.acquire() waits startupTimeoutMs for a server', async () => {
  await expect(openSilent({ startupTimeoutMs: 20 }).acquire({ reuse: false })).rejects.toThrow(
    "Cannot start a Redis for a lease on 127.0.0.1:1: no answer within 20 ms\nCorrect redis.args, raise startupTimeoutMs if it only needs more time, or set redis.isolation to 'database'",
  )
})

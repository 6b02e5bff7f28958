import { expect, test } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { RedisServers } from '../../../src/isolation/redis-servers.ts'

// A run whose container was taken away asked its siblings for another ten seconds before it ended.
test('RedisServers.close() ends the wait for a server that will not come', async () => {
  const servers = new RedisServers({
    // Nothing listens on port 1.
    siblings: [
      {
        address: { host: '127.0.0.1', port: 1 },
        restart: async () => {},
        end: async () => {},
        control: async () => {},
      },
    ],
    target: 1,
    clock: systemClock,
    state: { configuration: new Map(), users: new Map() },
    seed: async () => {},
    onReplaced: () => {},
  })
  const taken = servers.take({ reuse: false })
  servers.close()
  await expect(taken).rejects.toThrow('the run is ending')
})

import { migrate } from '../../support/migrate.ts'
import type { ByHand } from './by-hand.ts'
import { openClient } from './isolation.ts'

/** The method of Testcontainers: its one database is dropped and restored from a snapshot. */
export const testcontainersSnapshot: ByHand = {
  name: 'Testcontainers restoreSnapshot()',
  async open(server, migrations) {
    await migrate(server.getConnectionUri(), migrations)
    await server.snapshot()
    return {
      acquire: () => server.restoreSnapshot(),
      connect: () => openClient(server.getConnectionUri()),
      release: (client) => client.end(),
      close: () => Promise.resolve(),
    }
  },
}

import { migrate } from '../../support/migrate.ts'
import { urlOf } from '../../support/server.ts'
import type { ByHand } from './by-hand.ts'
import { openClient } from './isolation.ts'

/** Every test migrates its own database. */
export const migrations: ByHand = {
  name: 'migrations again',
  async open(server, folder) {
    const admin = await openClient(urlOf(server, 'postgres'))
    return {
      async acquire() {
        await admin.query('CREATE DATABASE fresh')
        await migrate(urlOf(server, 'fresh'), folder)
      },
      connect: () => openClient(urlOf(server, 'fresh')),
      async release(client) {
        await client.end()
        await admin.query('DROP DATABASE fresh')
      },
      close: () => admin.end(),
    }
  },
}

import { migrate } from '../../support/migrate.ts'
import { type Tuning, urlOf } from '../../support/server.ts'
import type { ByHand } from './by-hand.ts'
import { openClient } from './isolation.ts'

/** The database is created when the test requests it, with PostgreSQL's default strategy, and dropped afterwards. */
export const template = templateOn('default', 'CREATE DATABASE … TEMPLATE')
export const templateInMemory = templateOn('in memory', 'CREATE DATABASE … TEMPLATE, server in memory')

function templateOn(tuning: Tuning, name: string): ByHand {
  return {
    name,
    tuning,
    async open(server, migrations) {
      const admin = await openClient(urlOf(server, 'postgres'))
      await admin.query('CREATE DATABASE migrated')
      await migrate(urlOf(server, 'migrated'), migrations)
      return {
        async acquire() {
          await admin.query('CREATE DATABASE fresh TEMPLATE migrated')
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
}

import type { StartedPostgreSqlContainer } from '@testcontainers/postgresql'
import type { Contender } from '../../support/contender.ts'
import { type SchemaShape, writeMigrations } from '../../support/schema.ts'
import { startServer, type Tuning } from '../../support/server.ts'
import { type Isolation, measureCycles } from './isolation.ts'

export interface ByHand {
  readonly name: string
  readonly tuning?: Tuning
  /** Runs the migrations once, where the contender needs it. */
  open(server: StartedPostgreSqlContainer, migrations: string): Promise<Isolation & { close(): Promise<void> }>
}

/** A hand-written way of isolation, on a separate server. */
export function byHand(way: ByHand, shape: SchemaShape): Contender {
  return {
    name: way.name,
    async prepare(session) {
      const migrations = session.createFolder()
      await writeMigrations(migrations, shape)
      const server = await startServer(session, way.tuning ?? 'default')
      const isolation = await way.open(server, migrations)
      return {
        run: () => measureCycles(isolation),
        async cleanup() {
          await isolation.close()
          await server.stop()
        },
      }
    },
  }
}

import { PostgreSqlContainer, type StartedPostgreSqlContainer } from '@testcontainers/postgresql'
import type { Session } from './session.ts'

/** PostgreSQL as people start it by hand, or as they would if they tuned it as we do. */
export type Tuning = 'default' | 'in memory'

const IN_MEMORY = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']

export async function startServer({ labels }: Session, tuning: Tuning): Promise<StartedPostgreSqlContainer> {
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true'
  const container = new PostgreSqlContainer('postgres:18-alpine').withLabels(labels)
  if (tuning === 'in memory') {
    container
      .withTmpFs({ '/var/lib/postgresql': 'rw' })
      .withCommand(['postgres', ...IN_MEMORY.flatMap((setting) => ['-c', setting])])
  }
  return container.start()
}

/** The URL of another database of the same server. */
export function urlOf(server: StartedPostgreSqlContainer, database: string): string {
  return Object.assign(new URL(server.getConnectionUri()), { pathname: `/${database}` }).href
}

import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { prefixOf } from '../internal/names.ts'
import { withPostgres } from '../services/postgres.ts'
import type { Report } from '../report/events.ts'
import { PostgresAdmin } from '../services/postgres-admin.ts'
import { DatabaseResetter } from '../reset/database-resetter.ts'
import { Databases } from '../databases/databases.ts'
import { readServerState, type ServerState } from '../reset/server-state.ts'
import { resetServer } from './reset-server.ts'
import type { Templates } from '../databases/templates.ts'

export interface PostgresServerOptions {
  /** Address of the server, with a superuser's credentials. */
  readonly address: PostgresAddress
  /** Id that is part of the names of its databases; unique among the servers of the run. */
  readonly id: string
  readonly createTemplates: (admin: PostgresAdmin) => Templates
  readonly clock: Clock
  readonly report: Report
}

/** One process of a PostgreSQL server, which a single lease uses. */
export class PostgresServer {
  readonly databases: Databases
  readonly #admin: PostgresAdmin
  /** The server's state before its first use. */
  readonly #state: ServerState

  private constructor(options: PostgresServerOptions, admin: PostgresAdmin, state: ServerState) {
    const { id, clock, createTemplates, report } = options
    this.#admin = admin
    this.#state = state
    const resetter = new DatabaseResetter({ admin, prefix: prefixOf(id), clock, report })
    this.databases = new Databases({
      admin,
      templates: createTemplates(admin),
      runId: id,
      // One ready clone suffices: first for the file, then for the first test that requests its own database.
      target: 1,
      clock,
      countUse: (database) => admin.countUse(database),
      reset: async (database, template, use) => {
        // The server is reset first, as dropping a role also removes its privileges in the database.
        await this.#reset(database, use.file)
        await resetter.reset(database, template, use)
      },
    })
  }

  static async open(options: PostgresServerOptions): Promise<PostgresServer> {
    const admin = await PostgresAdmin.open(options.address)
    return new PostgresServer(options, admin, await withPostgres(admin.address, readServerState))
  }

  /** Closes our connections to the server. */
  async close(): Promise<void> {
    await this.#admin.close()
  }

  async #reset(database: string, file: string): Promise<void> {
    try {
      await withPostgres({ ...this.#admin.address, database }, (client) => resetServer(client, this.#state, file))
    } catch (error) {
      throw error instanceof InfraError ? error : notReset(error)
    }
  }
}

function notReset(error: unknown): InfraError {
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset the PostgreSQL server for the next test file: ${messageOf(error)}`,
    remedy: 'Leave isolate at true, so that every file gets a new server',
    service: 'postgres',
    cause: error,
  })
}

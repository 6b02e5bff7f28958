import type { Client, ClientConfig } from 'pg'

type Pg = Pick<typeof import('pg'), 'Client' | 'defaults'>

/** Settings that a session reads once, as it begins, and that a test can change for sessions to come. */
const SELECT_SETTINGS = `SELECT string_agg(s::text, ' ' ORDER BY s::text) AS settings FROM pg_db_role_setting s
  WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`

/** How to connect, and what pg adds to it from elsewhere. */
interface Connecting {
  readonly pg: Pg
  readonly config: ClientConfig
  readonly environment: NodeJS.ProcessEnv
}

/**
 * A session that is opened before its test begins. It is unused, so it is what a new one would be, as long as
 * nothing has changed that a new one would read.
 */
export class NextSession {
  readonly #client: Client
  readonly #manner: string
  readonly #settings: string | null
  #isOpen = true

  private constructor(client: Client, manner: string, settings: string | null) {
    this.#client = client
    this.#manner = manner
    this.#settings = settings
    client.on('end', () => (this.#isOpen = false))
    // An idle session does not keep a worker from its end.
    refer(client, 'unref')
  }

  static async open({ pg, config, environment }: Connecting): Promise<NextSession> {
    const client = new pg.Client(config)
    client.on('error', () => {})
    const manner = mannerOf(environment, pg.defaults)
    await client.connect()
    try {
      return new NextSession(client, manner, await readSettings(client))
    } catch (error) {
      await client.end()
      throw error
    }
  }

  /** Whether a session that began now would read the same settings. */
  async isCurrent(): Promise<boolean> {
    refer(this.#client, 'ref')
    return this.#isOpen && (await readSettings(this.#client).catch(() => undefined)) === this.#settings
  }

  /** The client, for a pool that takes it for one that connects only now; none if a new one would connect differently. */
  take({ pg, environment }: Omit<Connecting, 'config'>): Client | undefined {
    if (!this.#isOpen || this.#manner !== mannerOf(environment, pg.defaults)) {
      void this.close()
      return undefined
    }
    const client = this.#client
    const connect = (callback: (error?: Error) => void) => {
      Reflect.deleteProperty(client, 'connect')
      queueMicrotask(() => callback(this.#isOpen ? undefined : new Error('Connection terminated')))
    }
    return Object.assign(client, { connect })
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {})
  }
}

async function readSettings(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ settings: string | null }>(SELECT_SETTINGS)
  return rows[0]?.settings ?? null
}

/** The types do not know these two. */
function refer(client: Client, way: 'ref' | 'unref'): void {
  ;(client as Client & Record<typeof way, () => void>)[way]()
}

/** Settings that a client sends as it connects, apart from those of its configuration. */
function mannerOf(environment: NodeJS.ProcessEnv, defaults: object): string {
  const { PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING } = environment
  return JSON.stringify([PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING, defaults])
}

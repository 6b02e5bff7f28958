import type { Client, ClientConfig } from 'pg'

type Pg = Pick<typeof import('pg'), 'Client' | 'defaults'>

/** Selects settings that a session reads only when it starts. A test can change them for later sessions. */
const SELECT_SETTINGS = `SELECT string_agg(s::text, ' ' ORDER BY s::text) AS settings FROM pg_db_role_setting s
  WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`

/** The configuration of a connection, and the sources from which pg reads further settings. */
interface Connecting {
  readonly pg: Pg
  readonly config: ClientConfig
  readonly environment: NodeJS.ProcessEnv
}

/**
 * A session that is opened before its test begins. It equals a new session unless a setting has changed that a new
 * session would read.
 */
export class NextSession {
  readonly #client: Client
  readonly #connectSettings: string
  readonly #settings: string | null
  #isOpen = true

  private constructor(client: Client, connectSettings: string, settings: string | null) {
    this.#client = client
    this.#connectSettings = connectSettings
    this.#settings = settings
    client.on('end', () => (this.#isOpen = false))
    // The idle session must not keep the worker's process running.
    setRef(client, 'unref')
  }

  static async open({ pg, config, environment }: Connecting): Promise<NextSession> {
    const client = new pg.Client(config)
    client.on('error', () => {})
    const connectSettings = connectSettingsOf(environment, pg.defaults)
    await client.connect()
    try {
      return new NextSession(client, connectSettings, await readSettings(client))
    } catch (error) {
      await client.end()
      throw error
    }
  }

  /** Resolves to whether a session that starts now would read the same settings. */
  async isCurrent(): Promise<boolean> {
    setRef(this.#client, 'ref')
    return this.#isOpen && (await readSettings(this.#client).catch(() => undefined)) === this.#settings
  }

  /**
   * Returns the connected client. Its `connect` only reports success to the pool. Returns undefined if a new client
   * would connect differently.
   */
  adopt({ pg, environment }: Omit<Connecting, 'config'>): Client | undefined {
    if (!this.#isOpen || this.#connectSettings !== connectSettingsOf(environment, pg.defaults)) {
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

/** Calls a method that pg's types lack. */
function setRef(client: Client, method: 'ref' | 'unref'): void {
  ;(client as Client & Record<typeof method, () => void>)[method]()
}

/** Returns the settings that a client sends when it connects, except those of its configuration. */
function connectSettingsOf(environment: NodeJS.ProcessEnv, defaults: object): string {
  const { PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING } = environment
  return JSON.stringify([PGOPTIONS, PGREPLICATION, PGCLIENT_ENCODING, defaults])
}

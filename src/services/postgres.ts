import type { Client, ClientConfig, Pool, PoolConfig } from 'pg'
import { APPLICATION } from '../internal/names.ts'
import { type PostgresAddress, postgresUrl } from '../environment/variable-set.ts'
import { shellWord } from '../internal/shell-word.ts'
import type { ResolvedPostgres } from '../config/resolve-spec.ts'
import { LOG_LINE_PREFIX } from './postgres-log.ts'
import type { ServiceDefinition } from './service.ts'

const PROBE_TIMEOUT_MS = 2_000
/** Timeout of all other connections: a busy server accepts them late. */
const CONNECT_TIMEOUT_MS = 30_000

/** Parallel queries keep their state in `/dev/shm`, of which containers get 64 MB by default. */
const SHARED_MEMORY_BYTES = 256 * 1024 * 1024

/**
 * Test data need not survive a power failure. Many workers open many pools. The log prefix and time zone allow us to
 * find the errors of one database. Each clone would log two checkpoints. The user's settings override these.
 */
const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '500',
  log_line_prefix: LOG_LINE_PREFIX,
  log_timezone: 'UTC',
  log_checkpoints: 'off',
}

/**
 * Settings of instances: there may be dozens, and each is used by one test file. The user's settings override these.
 */
const INSTANCE_SETTINGS = {
  shared_buffers: '16MB',
  max_connections: '100',
  min_wal_size: '32MB',
}

/** Defines PostgreSQL, with as many additional `instances` as may be leased. */
export function definePostgres(spec: ResolvedPostgres, instances = 0): ServiceDefinition {
  const { user, password, database, server, settings } = spec
  return {
    service: spec.service,
    hostPort: spec.hostPort,
    environment: {
      POSTGRES_USER: user,
      POSTGRES_PASSWORD: password,
      POSTGRES_DB: database,
      POSTGRES_INITDB_ARGS: ['--no-sync', spec.initdbArgs].filter(Boolean).join(' '),
    },
    command: ['postgres', ...settingArguments({ ...SETTINGS, ...settings })],
    ...(instances > 0 && {
      instances: {
        count: instances,
        command: (port, folder) => [
          'postgres',
          '-D',
          folder,
          '-p',
          port,
          ...settingArguments({ ...SETTINGS, ...INSTANCE_SETTINGS, ...settings }),
        ],
        // KILL would leave its child processes running.
        endSignal: 'QUIT',
      },
    }),
    sharedMemoryBytes: SHARED_MEMORY_BYTES,
    probe: (address, signal) => probePostgres({ ...server, ...address, user, password, database }, signal),
  }
}

/** Returns whether a server answers a query. */
export async function answersPostgres(address: PostgresAddress): Promise<boolean> {
  const limited = { ...address, query_timeout: PROBE_TIMEOUT_MS, connectionTimeoutMillis: PROBE_TIMEOUT_MS }
  return withPostgres(limited, (client) => client.query('SELECT 1')).then(
    () => true,
    () => false,
  )
}

/**
 * Returns the command that opens a database in psql: in its container, where no password is needed, or on this machine.
 */
export function psqlCommand(
  { host, port, user, database }: Omit<PostgresAddress, 'password'>,
  container?: string,
): string {
  const program = container === undefined ? `psql --host ${host} --port ${port}` : `docker exec -it ${container} psql`
  return `${program} --username ${shellWord(user)} ${shellWord(database)}`
}

/** Runs `work` with a new connection, which is closed afterwards. */
export async function withPostgres<T>(
  address: PostgresAddress & ClientConfig,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await openPostgres(address)
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** Runs `work` with a new pool, which is closed afterwards. */
export async function withPostgresPool<T>(address: PostgresAddress, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = await openPostgresPool(address)
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}

/** Creates the database named after the user, to which clients connect if a URL names none. */
export async function ensureUserDatabase(address: PostgresAddress): Promise<void> {
  const { user, database } = address
  if (user === database || user === 'postgres') {
    return
  }
  await withPostgres(address, async (client) => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [user])
    if (rowCount === 0) {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(user)}`)
    }
  })
}

async function probePostgres(address: PostgresAddress, signal: AbortSignal): Promise<string> {
  return withPostgres({ ...address, connectionTimeoutMillis: PROBE_TIMEOUT_MS }, async (client) => {
    signal.throwIfAborted()
    const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version') AS version")
    // Packages append their own version: "18.6 (Debian 18.6-1)".
    return rows[0]?.version.split(' ')[0] ?? ''
  })
}

/** Loads the module `pg` in advance. */
export async function loadPostgres(): Promise<void> {
  await import('pg')
}

/** Creates a pool whose errors do not end this process if the server exits. */
export async function openPostgresPool(address: PostgresAddress, options: PoolConfig = {}): Promise<Pool> {
  const { default: pg } = await import('pg')
  return new pg.Pool({ ...address, ...readParameters(address), application_name: APPLICATION.own, ...options }).on(
    'error',
    () => {},
  )
}

/** Opens a connection whose errors do not end this process if the server exits. */
export async function openPostgres(address: PostgresAddress & ClientConfig): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...address,
    ...readParameters(address),
    application_name: APPLICATION.own,
  })
  // Without a listener, the server's exit would end this process with an uncaught exception.
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Returns TLS and other parameters as a URL, as tests get it; empty if there are none. */
function readParameters(address: PostgresAddress): Pick<ClientConfig, 'connectionString'> {
  return address.parameters === undefined ? {} : { connectionString: postgresUrl(address) }
}

function settingArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

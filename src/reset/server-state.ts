import type { Client } from 'pg'

/** State of a server outside its databases. */
export interface ServerState {
  /** Digest of the attributes, settings and memberships of each role, by role name. */
  readonly roles: ReadonlyMap<string, string>
  readonly databases: ReadonlySet<string>
  /** Values that `ALTER SYSTEM` has set, by setting. */
  readonly settings: ReadonlyMap<string, string>
  /** Values of the settings that change only with a restart, by setting. */
  readonly startedWith: ReadonlyMap<string, string>
}

const ROLES = `
  SELECT rolname AS name, md5(concat(
    role,
    (SELECT string_agg(setting::text, ' ' ORDER BY setting::text) FROM pg_db_role_setting setting WHERE setrole = role.oid),
    (SELECT string_agg(grant_::text, ' ' ORDER BY grant_::text) FROM pg_auth_members grant_ WHERE member = role.oid)
  )) AS value
  FROM pg_authid role WHERE rolname !~ '^pg_'`

const SETTINGS = `
  SELECT name, setting AS value FROM pg_file_settings
  WHERE sourcefile = current_setting('data_directory') || '/postgresql.auto.conf'`

const STARTED_WITH = "SELECT name, setting AS value FROM pg_settings WHERE context = 'postmaster'"

export async function readServerState(client: Client): Promise<ServerState> {
  const databases = await readPairs(client, 'SELECT datname AS name, NULL AS value FROM pg_database')
  return {
    roles: await readPairs(client, ROLES),
    databases: new Set(databases.keys()),
    settings: await readPairs(client, SETTINGS),
    startedWith: await readPairs(client, STARTED_WITH),
  }
}

async function readPairs(client: Client, query: string): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; value: string }>(query)
  return new Map(rows.map(({ name, value }) => [name, value]))
}

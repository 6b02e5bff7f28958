import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import { MARK } from '../internal/names.ts'
import { quote } from '../services/postgres-admin.ts'
import { readServerState, type ServerState } from '../reset/server-state.ts'

/** Timeout in milliseconds for locks that open transactions hold. */
const LOCK_TIMEOUT_MS = 5_000

/**
 * Removes everything that tests have created on a server outside its databases, while users stay connected: replication
 * slots, settings of `ALTER SYSTEM`, databases and roles. `client` is a superuser's connection to the tests' database;
 * `file` is the test file that used it.
 *
 * @throws InfraError `INFRA_LEASE_FAILED` if a role was altered or dropped, or if a restart has changed a setting
 */
export async function resetServer(client: Client, wanted: ServerState, file: string): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`)
  await dropSlots(client)
  const current = await readServerState(client)
  await restoreSettings(client, current.settings, wanted.settings)
  // Our own databases are created and dropped elsewhere.
  for (const name of missingFrom(wanted.databases, current.databases)) {
    if (!name.startsWith(MARK)) {
      await client.query(`DROP DATABASE ${quote(name)} WITH (FORCE)`)
    }
  }
  for (const name of missingFrom(wanted.roles, current.roles.keys())) {
    await client.query(`DROP OWNED BY ${quote(name)} CASCADE; DROP ROLE ${quote(name)}`)
  }
  await assertRestored(client, wanted, file)
}

async function dropSlots(client: Client): Promise<void> {
  await client.query('SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE active')
  await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots')
}

async function restoreSettings(
  client: Client,
  current: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  const added = missingFrom(wanted, current.keys()).map((name) => `RESET ${quoteSetting(name)}`)
  const changed = [...wanted]
    .filter(([name, value]) => current.get(name) !== value)
    .map(([name, value]) => `SET ${quoteSetting(name)} = ${client.escapeLiteral(value)}`)
  // The changes run one by one, as ALTER SYSTEM cannot run in a transaction.
  for (const change of [...added, ...changed]) {
    await client.query(`ALTER SYSTEM ${change}`)
  }
  if (added.length + changed.length > 0) {
    await client.query('SELECT pg_reload_conf()')
  }
}

async function assertRestored(client: Client, wanted: ServerState, file: string): Promise<void> {
  const { roles, startedWith } = await readServerState(client)
  const observed = [
    ...changedIn(wanted.roles, roles).map((name) => `role "${name}" was altered or dropped`),
    ...changedIn(wanted.startedWith, startedWith).map((name) => `setting "${name}" was changed by a restart`),
  ]
  if (observed.length > 0) {
    throw new InfraError('INFRA_LEASE_FAILED', {
      problem: `Cannot reset the PostgreSQL server for the next test file: after ${file}, ${observed.join(', ')}`,
      remedy: 'Leave isolate at true, so that every file gets a new server',
      service: 'postgres',
    })
  }
}

function changedIn(wanted: ReadonlyMap<string, string>, current: ReadonlyMap<string, string>): string[] {
  return [...wanted.keys()].filter((name) => current.get(name) !== wanted.get(name))
}

function missingFrom(known: { has(name: string): boolean }, names: Iterable<string>): string[] {
  return [...names].filter((name) => !known.has(name))
}

/** Quotes the name of a setting. Settings of extensions have names like `schema.name`. */
function quoteSetting(name: string): string {
  return name.split('.').map(quote).join('.')
}

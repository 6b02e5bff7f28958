import { randomBytes } from 'node:crypto'
import { MARK, OF_TEMPLATE } from '../internal/names.ts'
import { type PostgresAdmin, quote } from './postgres-admin.ts'
import { ASIDE, NO_OBJECTS, type ServerObjects } from './postgres-survey.ts'

const LIST = `SELECT
  ARRAY(SELECT rolname::text FROM pg_roles WHERE oid >= 16384 AND NOT starts_with(rolname, '${ASIDE}')) AS roles,
  ARRAY(SELECT datname::text FROM pg_database WHERE NOT starts_with(datname, '${MARK}') AND oid >= 16384) AS databases,
  ARRAY(SELECT name FROM pg_file_settings
    WHERE sourcefile = current_setting('data_directory') || '/postgresql.auto.conf') AS settings`

/** Notes are stored in the comments on templates' databases. Clones do not inherit these comments. */
const NOTES = `SELECT datname AS name, shobj_description(oid, 'pg_database') AS note FROM pg_database
  WHERE datname ~ '${OF_TEMPLATE}' AND shobj_description(oid, 'pg_database') LIKE '{"roles":%'`

/**
 * The objects that templates create outside their databases on a server of our own: roles, databases and settings. They
 * outlive the template, and conflict with the next template that creates them.
 */
export class ServerWide {
  readonly #admin: PostgresAdmin

  constructor(admin: PostgresAdmin) {
    this.#admin = admin
  }

  async list(): Promise<ServerObjects> {
    const rows = await this.#admin.query<ServerObjects>(LIST)
    return rows[0] ?? NO_OBJECTS
  }

  /** Stores which objects the build of a template has created. */
  async note(template: string, made: ServerObjects): Promise<void> {
    if (!isNothing(made)) {
      const note = JSON.stringify({ roles: made.roles, databases: made.databases, settings: made.settings })
      await this.#admin.query(`COMMENT ON DATABASE ${quote(template)} IS '${note.replaceAll("'", "''")}'`)
    }
  }

  /**
   * Drops each unwanted template that has created server-wide objects, and those of its objects that no wanted template
   * has created.
   *
   * @returns the objects of the wanted templates, and whether any template was dropped
   */
  async clear(wanted: readonly string[]): Promise<{ kept: ServerObjects; isCleared: boolean }> {
    const rows = await this.#admin.query<{ name: string; note: string }>(NOTES)
    const notes = rows.map(({ name, note }) => ({ name, made: JSON.parse(note) as ServerObjects }))
    const stale = notes.filter(({ name }) => !wanted.includes(name))
    const kept = union(notes.filter(({ name }) => wanted.includes(name)).map(({ made }) => made))
    for (const { name } of stale) {
      await this.#admin.dropTemplate(name, { force: true })
    }
    await this.remove(without(union(stale.map(({ made }) => made)), kept))
    return { kept, isCleared: stale.length > 0 }
  }

  async remove({ roles, databases, settings }: ServerObjects): Promise<void> {
    for (const database of databases) {
      await this.#admin.dropDatabase(database, { force: true })
    }
    for (const setting of settings) {
      await this.#admin.query(`ALTER SYSTEM RESET ${setting.split('.').map(quote).join('.')}`)
    }
    if (settings.length > 0) {
      await this.#admin.query('SELECT pg_reload_conf()')
    }
    for (const role of roles) {
      // Remaining databases may contain objects of the role. Renaming frees the name even if the role cannot be dropped
      // yet.
      const aside = `${ASIDE}${randomBytes(4).toString('hex')}`
      await this.#admin.query(`ALTER ROLE ${quote(role)} RENAME TO ${quote(aside)}`).catch(() => {})
    }
    await this.dropAside()
  }

  /** Drops the renamed roles to which no object belongs any more. */
  async dropAside(): Promise<void> {
    const rows = await this.#admin.query<{ name: string }>(
      `SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, '${ASIDE}')`,
    )
    for (const { name } of rows) {
      await this.#admin.query(`DROP ROLE ${quote(name)}`).catch(() => {})
    }
  }
}

export function without(objects: ServerObjects, others: ServerObjects): ServerObjects {
  return {
    roles: objects.roles.filter((name) => !others.roles.includes(name)),
    databases: objects.databases.filter((name) => !others.databases.includes(name)),
    settings: objects.settings.filter((name) => !others.settings.includes(name)),
  }
}

function union(all: readonly ServerObjects[]): ServerObjects {
  return {
    roles: [...new Set(all.flatMap(({ roles }) => roles))],
    databases: [...new Set(all.flatMap(({ databases }) => databases))],
    settings: [...new Set(all.flatMap(({ settings }) => settings))],
  }
}

function isNothing({ roles, databases, settings }: ServerObjects): boolean {
  return roles.length + databases.length + settings.length === 0
}

import type { Pool } from 'pg'
import { MARK, OF_SHARED_TEMPLATE } from '../internal/names.ts'

/** Names of server-wide objects, of the kinds that a template's steps can create and that we can remove. */
export interface ServerObjects {
  readonly roles: readonly string[]
  readonly databases: readonly string[]
  /** Settings that `ALTER SYSTEM` has set. */
  readonly settings: readonly string[]
}

export const NO_OBJECTS: ServerObjects = { roles: [], databases: [], settings: [] }

/** Prefix of roles that were renamed to free their names, because objects still belong to them. */
export const ASIDE = `${MARK}aside_`

/** The contents of a server that was running before this run. */
export interface PostgresSurvey {
  /**
   * A digest of everything that belongs to the server and not to a run's database; empty for a server in its original
   * state.
   */
  readonly state: string
  /** Databases of templates, oldest first. */
  readonly templates: readonly string[]
  /** Databases that earlier runs have left behind. */
  readonly leftovers: readonly string[]
}

/** The lowest OID of an object that initdb did not create. */
const FIRST_ID = 16_384
const BOOTSTRAP_ROLE = 10
/**
 * What initdb grants on template1, in the format of `aclexplode`. Other databases have PostgreSQL's default privileges.
 */
const TEMPLATE1_PRIVILEGES = `ARRAY['0 CONNECT f', '${BOOTSTRAP_ROLE} CONNECT f', '${BOOTSTRAP_ROLE} CREATE f',
  '${BOOTSTRAP_ROLE} TEMPORARY f']`

/** Returns a condition for a known role. Renamed roles count as known too. */
function isKnown(role: string): string {
  return `(pg_get_userbyid(${role}) = ANY ($3::text[]) OR starts_with(pg_get_userbyid(${role}), '${ASIDE}'))`
}

/** Returns an expression for an access control list in a fixed order. */
function privileges(acl: string): string {
  return `ARRAY(SELECT concat_ws(' ', grantee, privilege_type, is_grantable) FROM aclexplode(${acl}) ORDER BY 1)`
}

/** Catalogs of the objects in a database, except for objects that cannot exist without a table. */
const OBJECT_CATALOGS = [
  'pg_class',
  'pg_namespace',
  'pg_proc',
  'pg_type',
  'pg_extension',
  'pg_cast',
  'pg_collation',
  'pg_default_acl',
  'pg_event_trigger',
  'pg_foreign_data_wrapper',
  'pg_language',
  'pg_largeobject_metadata',
  'pg_operator',
  'pg_publication',
]

/**
 * Selects what tests or migrations can leave outside the databases that are recreated: roles and their settings, `ALTER
 * SYSTEM`, tablespaces, slots, and other databases. It also selects objects in the maintenance database, on which the
 * query runs.
 */
const STATE = `
  SELECT 'role ' || concat(role) FROM pg_authid role
    WHERE NOT ${isKnown('oid')} AND
      (oid >= ${FIRST_ID} OR oid = ${BOOTSTRAP_ROLE} AND (rolconnlimit <> -1 OR rolvaliduntil IS NOT NULL
        OR NOT (rolinherit AND rolcreaterole AND rolcreatedb AND rolcanlogin AND rolreplication AND rolbypassrls)))
  UNION ALL SELECT concat('member ', roleid, ' ', member) FROM pg_auth_members
    WHERE (roleid >= ${FIRST_ID} OR member >= ${FIRST_ID} OR member = ${BOOTSTRAP_ROLE})
      AND NOT ${isKnown('roleid')} AND NOT ${isKnown('member')}
  UNION ALL SELECT concat('setting of role ', setting) FROM pg_db_role_setting setting
    WHERE (setdatabase = 0 OR setdatabase IN (SELECT oid FROM pg_database WHERE datname IN ('postgres', 'template1')))
      AND NOT ${isKnown('setrole')}
  UNION ALL SELECT concat('setting ', name, ' ', setting) FROM pg_file_settings
    WHERE sourcefile = current_setting('data_directory') || '/postgresql.auto.conf' AND name <> ALL ($5::text[])
  UNION ALL SELECT concat('tablespace ', spcname) FROM pg_tablespace WHERE oid >= ${FIRST_ID}
  UNION ALL SELECT concat('slot ', slot_name) FROM pg_replication_slots WHERE NOT temporary
  UNION ALL SELECT concat('origin ', roname) FROM pg_replication_origin
  UNION ALL SELECT concat('database ', datname) FROM pg_database
    WHERE datname NOT IN ('postgres', 'template0', 'template1', $1, $2) AND NOT starts_with(datname, '${MARK}')
      AND datname <> ALL ($4::text[])
  UNION ALL SELECT concat_ws(' ', 'attributes of', datname, datdba, datconnlimit, datistemplate, datallowconn, datacl)
    FROM pg_database WHERE datname IN ('template1', current_database()) AND (datdba <> ${BOOTSTRAP_ROLE}
      OR datconnlimit <> -1 OR datistemplate <> (datname = 'template1') OR NOT datallowconn
      OR ${privileges("coalesce(datacl, acldefault('d', datdba))")} <> CASE datname
        WHEN 'template1' THEN ${TEMPLATE1_PRIVILEGES} ELSE ${privileges(`acldefault('d', ${BOOTSTRAP_ROLE})`)} END)
  UNION ALL SELECT concat_ws(' ', 'comment on', datname, description)
    FROM pg_database JOIN pg_shdescription ON objoid = pg_database.oid AND classoid = 'pg_database'::regclass
    WHERE datname IN ('template1', current_database())
      AND description NOT IN ('default template for new databases', 'default administrative connection database')
  UNION ALL SELECT concat('object ', catalog.oid) FROM (${OBJECT_CATALOGS.map((name) => `SELECT oid FROM ${name}`).join(' UNION ALL ')}) catalog
    WHERE oid >= ${FIRST_ID} AND current_database() <> $1
  UNION ALL SELECT concat_ws(' ', 'privileges of', nspname, nspacl) FROM pg_namespace
    LEFT JOIN pg_init_privs ON classoid = 'pg_namespace'::regclass AND objoid =
      CASE nspname WHEN 'information_schema' THEN 'pg_catalog'::regnamespace ELSE pg_namespace.oid END
    WHERE pg_namespace.oid < ${FIRST_ID} AND nspacl IS DISTINCT FROM initprivs AND current_database() <> $1`

/** Privileges from `GRANT … ON PARAMETER`, which exists since PostgreSQL 15. */
const PARAMETERS = `
  UNION ALL SELECT concat_ws(' ', 'parameter', parname, paracl) FROM pg_parameter_acl`

const selectSurvey = (state: string) => `
  SELECT
    (SELECT coalesce(md5(string_agg(line, ' ' ORDER BY line)), '') FROM (${state}) AS state (line)) AS state,
    ARRAY(SELECT datname::text FROM pg_database WHERE datname ~ '${OF_SHARED_TEMPLATE}' ORDER BY oid) AS templates,
    ARRAY(SELECT datname::text FROM pg_database WHERE starts_with(datname, '${MARK}') AND datname !~ '${OF_SHARED_TEMPLATE}') AS leftovers`

/**
 * Surveys a whole server over a connection to its maintenance database. `database` is the main database. The state does
 * not include `known` objects.
 */
export async function surveyPostgres(
  connection: Pick<Pool, 'query'>,
  { database, user, known }: { readonly database: string; readonly user: string; readonly known: ServerObjects },
): Promise<PostgresSurvey> {
  const catalogs = await connection.query<{ name: string | null }>("SELECT to_regclass('pg_parameter_acl') AS name")
  const state = catalogs.rows[0]?.name ? STATE + PARAMETERS : STATE
  const { rows } = await connection.query<PostgresSurvey>(selectSurvey(state), [
    database,
    user,
    known.roles,
    known.databases,
    known.settings,
  ])
  return rows[0] ?? { state: '', templates: [], leftovers: [] }
}

const TAKEN = /\b(role|database|tablespace|replication slot) "([^"]+)" already exists/
const CREATES = /^\s*CREATE\s+(ROLE|USER|GROUP|DATABASE|TABLESPACE)\s+"?([\w$-]+)/i
// SQLSTATE codes of duplicate_object and duplicate_database.
const CODES = ['42710', '42P04']

/**
 * Returns a remedy if a statement failed because an earlier template has created the same server-wide object. Returns
 * undefined for other failures.
 */
export function remedyForTaken(
  message: string,
  { code, statement = '' }: { readonly code?: string | undefined; readonly statement?: string } = {},
): string | undefined {
  // The server may translate its messages.
  const [, kind, name] = TAKEN.exec(message) ?? (CODES.includes(code ?? '') ? CREATES.exec(statement) : undefined) ?? []
  switch (kind?.toLowerCase()) {
    case 'role':
    case 'user':
    case 'group':
      return `Roles belong to the whole server and outlive the template. Create it only if it does not exist: DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN CREATE ROLE "${name}"; END IF; END $$; or drop the existing one: DROP ROLE "${name}"`
    case 'database':
      return `It belongs to the whole server and outlives the template. Drop it before it is created: DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`
    case 'tablespace':
      return `It belongs to the whole server and outlives the template. Drop the existing one: DROP TABLESPACE "${name}"`
    case 'replication slot':
      return `It belongs to the whole server and outlives the template. Drop the existing one: SELECT pg_drop_replication_slot('${name}')`
    default:
      return undefined
  }
}

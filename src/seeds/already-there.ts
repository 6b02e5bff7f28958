const TAKEN = /\b(role|database|tablespace|replication slot) "([^"]+)" already exists/
const CREATES = /^\s*CREATE\s+(ROLE|USER|GROUP|DATABASE|TABLESPACE)\s+"?([\w$-]+)/i
// duplicate_object, duplicate_database
const CODES = ['42710', '42P04']

/**
 * What to do about something that belongs to the whole server and is there already, because a template that was built
 * before has made it; undefined if a failure is about something else.
 */
export function remedyForTaken(
  message: string,
  { code, statement = '' }: { readonly code?: string | undefined; readonly statement?: string } = {},
): string | undefined {
  // The server may speak another language.
  const [, kind, name] = TAKEN.exec(message) ?? (CODES.includes(code ?? '') ? CREATES.exec(statement) : undefined) ?? []
  switch (kind?.toLowerCase()) {
    case 'role':
    case 'user':
    case 'group':
      return `Roles belong to the whole server and outlive the template. Make it only where it is missing: DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN CREATE ROLE "${name}"; END IF; END $$; or drop the one that is there: DROP ROLE "${name}"`
    case 'database':
      return `It belongs to the whole server and outlives the template. Drop it before it is made: DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`
    case 'tablespace':
      return `It belongs to the whole server and outlives the template. Drop the one that is there: DROP TABLESPACE "${name}"`
    case 'replication slot':
      return `It belongs to the whole server and outlives the template. Drop the one that is there: SELECT pg_drop_replication_slot('${name}')`
    default:
      return undefined
  }
}

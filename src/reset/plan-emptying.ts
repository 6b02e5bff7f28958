import type { ForeignKey } from './foreign-keys.ts'
import type { StoredRelation } from './stored-relations.ts'

/**
 * Returns the statements that empty exactly these tables. `TRUNCATE` leaves no dead rows, so later rows stay in
 * insertion order. It fails for a table that a table outside the list references; such a table is emptied with
 * `DELETE`.
 */
export function planEmptying(tables: readonly StoredRelation[], foreignKeys: readonly ForeignKey[]): readonly string[] {
  const truncated = closeUnderReferences(new Set(tables.map(({ name }) => name)), foreignKeys)
  const names = tables.filter(({ name }) => truncated.has(name)).map(({ name }) => `ONLY ${name}`)
  const deleted = tables.filter(({ name }) => !truncated.has(name)).map(({ name }) => `DELETE FROM ONLY ${name}`)
  return names.length === 0 ? deleted : [`TRUNCATE ${names.join(', ')}`, ...deleted]
}

function closeUnderReferences(names: ReadonlySet<string>, foreignKeys: readonly ForeignKey[]): ReadonlySet<string> {
  const fromOutside = foreignKeys.filter(({ from, to }) => names.has(to) && !names.has(from))
  const referenced = new Set(fromOutside.map(({ to }) => to))
  const rest = new Set([...names].filter((name) => !referenced.has(name)))
  return rest.size === names.size ? names : closeUnderReferences(rest, foreignKeys)
}

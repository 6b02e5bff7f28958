import type { ForeignKey } from './foreign-keys.ts'
import type { StoredRelation } from './stored-relations.ts'

/**
 * The statements that empty tables, and no others. `TRUNCATE` leaves nothing for a vacuum to find, so that rows of the
 * next file stay in the order in which they are inserted; but it refuses a table that one outside the list references.
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

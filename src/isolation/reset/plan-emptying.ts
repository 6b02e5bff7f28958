import type { ForeignKey } from './foreign-keys.ts'
import type { StoredRelation } from './stored-relations.ts'

/**
 * The statements that empty tables, and no others. `TRUNCATE` leaves nothing for a vacuum to find, so that rows of the
 * next file stay in the order in which they are inserted; but it refuses a table that one outside the list references.
 */
export function planEmptying(tables: readonly StoredRelation[], foreignKeys: readonly ForeignKey[]): readonly string[] {
  const truncated = closeUnderReferences(new Set(tables.map(({ oid }) => oid)), foreignKeys)
  const names = tables.filter(({ oid }) => truncated.has(oid)).map(({ name }) => `ONLY ${name}`)
  const deleted = tables.filter(({ oid }) => !truncated.has(oid)).map(({ name }) => `DELETE FROM ONLY ${name}`)
  return names.length === 0 ? deleted : [`TRUNCATE ${names.join(', ')}`, ...deleted]
}

function closeUnderReferences(oids: ReadonlySet<number>, foreignKeys: readonly ForeignKey[]): ReadonlySet<number> {
  const referenced = new Set(foreignKeys.filter(({ from, to }) => oids.has(to) && !oids.has(from)).map(({ to }) => to))
  const rest = new Set([...oids].filter((oid) => !referenced.has(oid)))
  return rest.size === oids.size ? oids : closeUnderReferences(rest, foreignKeys)
}

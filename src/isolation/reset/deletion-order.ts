/** A table as far as the deletion of its rows is concerned. */
interface Referring {
  readonly oid: string
  /** The tables that its foreign keys lead to, itself apart. */
  readonly references: readonly string[]
  readonly isSimple: boolean
}

/** Tables in an order in which each comes before those that it refers to; those that refer in circles come last. */
export function inDeletionOrder<T extends Referring>(tables: readonly T[]): readonly T[] {
  const ordered: T[] = []
  let left = tables
  for (;;) {
    const wanted = new Set(left.flatMap(({ references }) => references))
    const free = left.filter(({ oid }) => !wanted.has(oid))
    if (free.length === 0) {
      return [...ordered, ...left.map((table) => ({ ...table, isSimple: false }))]
    }
    ordered.push(...free)
    left = left.filter(({ oid }) => wanted.has(oid))
  }
}

const CHUNKS = /[0-9]+|[^0-9]+/g
const DIGITS = /^[0-9]/

/** Compares names for sorting in natural order, `2_` before `10_`, independently of the machine's locale. */
export function compareNatural(left: string, right: string): number {
  const leftChunks = left.match(CHUNKS) ?? []
  const rightChunks = right.match(CHUNKS) ?? []
  for (const [index, chunk] of leftChunks.entries()) {
    const order = compareChunks(chunk, rightChunks[index] ?? '')
    if (order !== 0) {
      return order
    }
  }
  // "1" and "01" are equal as numbers. Their texts are compared too, so that the order does not depend on the file
  // system.
  return leftChunks.length - rightChunks.length || compare(left, right)
}

function compareChunks(left: string, right: string): number {
  return DIGITS.test(left) && DIGITS.test(right) ? compare(BigInt(left), BigInt(right)) : compare(left, right)
}

function compare<T extends string | bigint>(left: T, right: T): number {
  return left < right ? -1 : Number(left > right)
}

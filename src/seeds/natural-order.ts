const CHUNKS = /[0-9]+|[^0-9]+/g
const DIGITS = /^[0-9]/

/** Orders names as people do, `2_` before `10_`, and alike on every machine: no locale takes part. */
export function compareNatural(left: string, right: string): number {
  const leftChunks = left.match(CHUNKS) ?? []
  const rightChunks = right.match(CHUNKS) ?? []
  for (const [index, chunk] of leftChunks.entries()) {
    const order = compareChunks(chunk, rightChunks[index] ?? '')
    if (order !== 0) {
      return order
    }
  }
  // "1" and "01" differ only as text; something has to, so that the order never depends on the file system.
  return leftChunks.length - rightChunks.length || compare(left, right)
}

function compareChunks(left: string, right: string): number {
  return DIGITS.test(left) && DIGITS.test(right) ? compare(BigInt(left), BigInt(right)) : compare(left, right)
}

function compare<T extends string | bigint>(left: T, right: T): number {
  return left < right ? -1 : Number(left > right)
}

const HEADER_BYTES = 8

/** The text of an engine's log, in which every chunk of output has a header with its length in bytes 4 to 7. */
export function demultiplex(log: Buffer): string {
  const chunks: Buffer[] = []
  for (let offset = 0; offset + HEADER_BYTES <= log.length;) {
    const begin = offset + HEADER_BYTES
    offset = begin + log.readUInt32BE(offset + 4)
    chunks.push(log.subarray(begin, offset))
  }
  return Buffer.concat(chunks).toString('utf8')
}

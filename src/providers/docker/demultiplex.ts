import type { Readable } from 'node:stream'

const HEADER_BYTES = 8
const NEWLINE = 0x0a

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

/** Calls back for each line that arrives in a stream of such chunks, whatever it says. */
export function onLines(stream: Readable, handle: () => void): void {
  let rest = Buffer.alloc(0)
  stream.on('data', (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(4)) {
      const end = HEADER_BYTES + rest.readUInt32BE(4)
      rest.subarray(HEADER_BYTES, end).forEach((byte) => byte === NEWLINE && handle())
      rest = rest.subarray(end)
    }
  })
}

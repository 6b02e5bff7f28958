import type { Readable } from 'node:stream'

const HEADER_BYTES = 8

/** The text of a container's log. */
export function demultiplex(log: Buffer): string {
  return Buffer.concat(takeChunks(log).chunks).toString('utf8')
}

/** Calls back with each line that arrives in a container's output. */
export function onLines(stream: Readable, handle: (line: string) => void): void {
  let text = ''
  onChunks(stream, (chunk) => {
    const lines = (text + chunk.toString('utf8')).split('\n')
    text = lines.pop() ?? ''
    lines.forEach(handle)
  })
}

/** Calls back with each chunk that arrives in a container's output. */
export function onChunks(stream: Readable, handle: (chunk: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  stream.on('data', (data: Buffer) => {
    const taken = takeChunks(Buffer.concat([rest, data]))
    rest = taken.rest
    taken.chunks.forEach(handle)
  })
}

/** Every chunk of output has a header with its length in bytes 4 to 7; the last one may not be there as a whole yet. */
function takeChunks(data: Buffer): { chunks: Buffer[]; rest: Buffer } {
  const chunks: Buffer[] = []
  let rest = data
  while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(4)) {
    const end = HEADER_BYTES + rest.readUInt32BE(4)
    chunks.push(rest.subarray(HEADER_BYTES, end))
    rest = rest.subarray(end)
  }
  return { chunks, rest }
}

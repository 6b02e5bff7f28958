import type { Readable } from 'node:stream'

const HEADER_BYTES = 8

/** Calls back with each line that arrives in a container's output. */
export function onLines(stream: Readable, handle: (line: string) => void): void {
  let text = ''
  onChunks(stream, (chunk) => {
    const lines = (text + chunk.toString('utf8')).split('\n')
    text = lines.pop() ?? ''
    lines.forEach(handle)
  })
}

/** Calls back with each chunk of a container's output, which has a header with its length in bytes 4 to 7. */
export function onChunks(stream: Readable, handle: (chunk: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  stream.on('data', (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(4)) {
      const end = HEADER_BYTES + rest.readUInt32BE(4)
      handle(rest.subarray(HEADER_BYTES, end))
      rest = rest.subarray(end)
    }
  })
}

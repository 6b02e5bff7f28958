import type { Readable } from 'node:stream'

const HEADER_BYTES = 8
const STDERR = 2

/** The stream to which a program has written. */
export type Output = 'stdout' | 'stderr'

/** Returns the text of a container's multiplexed log. */
export function demultiplex(log: Buffer): string {
  return Buffer.concat(takeFrames(log).frames.map(({ chunk }) => chunk)).toString('utf8')
}

/** Calls `handle` with each line of a container's multiplexed output. */
export function onLines(stream: Readable, handle: (line: string) => void): void {
  let text = ''
  onChunks(stream, (chunk) => {
    const lines = (text + chunk.toString('utf8')).split('\n')
    text = lines.pop() ?? ''
    lines.forEach(handle)
  })
}

/** Calls `handle` with each chunk of a container's multiplexed output. */
export function onChunks(stream: Readable, handle: (chunk: Buffer, output: Output) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  stream.on('data', (data: Buffer) => {
    const taken = takeFrames(Buffer.concat([rest, data]))
    rest = taken.rest
    taken.frames.forEach(({ chunk, output }) => handle(chunk, output))
  })
}

interface Frame {
  readonly chunk: Buffer
  readonly output: Output
}

/**
 * Splits multiplexed output into frames. Each frame has a header with the stream in byte 0 and the length in bytes 4 to
 * 7. An incomplete frame at the end is returned as `rest`.
 */
function takeFrames(data: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = []
  let rest = data
  while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(4)) {
    const end = HEADER_BYTES + rest.readUInt32BE(4)
    frames.push({ chunk: rest.subarray(HEADER_BYTES, end), output: rest[0] === STDERR ? 'stderr' : 'stdout' })
    rest = rest.subarray(end)
  }
  return { frames, rest }
}

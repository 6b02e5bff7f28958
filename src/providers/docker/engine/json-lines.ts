/**
 * Yields the objects of a stream with one JSON object per line. Engines use this format for events and for the progress
 * of a pull.
 *
 * @throws if a line is not JSON, or if the stream breaks off
 */
export async function* readJsonLines<T>(stream: NodeJS.ReadableStream): AsyncGenerator<T> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = `${rest}${String(chunk)}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines.flatMap(parseLine<T>)
  }
  yield* parseLine<T>(rest)
}

function parseLine<T>(line: string): T[] {
  return line.trim() === '' ? [] : [JSON.parse(line) as T]
}

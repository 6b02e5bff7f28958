/**
 * The objects of a stream that carries one in each line, as engines send events and the progress of a pull.
 *
 * @throws for a line that is no JSON, and for a stream that breaks off
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

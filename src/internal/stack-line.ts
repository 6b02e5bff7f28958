import { pathToFileURL } from 'node:url'

/** What Node writes between a module's name and the line: the query that it was imported with. */
const LINE = /^(?:\?[^:\s]*)?:(\d+)/

/** The line of a file at which an error was thrown, or which cannot be read; `undefined` where its stack does not say. */
export function lineIn(file: string, error: unknown): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return [pathToFileURL(file).href, file]
    .flatMap((name) => stack.split(name).slice(1))
    .map((rest) => Number(LINE.exec(rest)?.[1]))
    .find((line) => line > 0)
}

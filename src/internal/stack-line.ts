import { pathToFileURL } from 'node:url'

/** Matches the line number after a module's name, and the query with which the module was imported. */
const LINE = /^(?:\?[^:\s]*)?:(\d+)/

/**
 * Returns the line of a file at which an error was thrown, or which has a syntax error; undefined if its stack has
 * none.
 */
export function lineIn(file: string, error: unknown): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return [pathToFileURL(file).href, file]
    .flatMap((name) => stack.split(name).slice(1))
    .map((rest) => Number(LINE.exec(rest)?.[1]))
    .find((line) => line > 0)
}

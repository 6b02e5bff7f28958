import { pathToFileURL } from 'node:url'

/** Matches the text after a module's name in a stack: the query of the module's import, if any, and the line number. */
const LINE = /^(?:\?[^:\s]*)?:(\d+)/

/**
 * Returns the line of a file at which an error was thrown or the syntax is invalid; undefined if the error's stack
 * contains no line of that file.
 */
export function lineIn(file: string, error: unknown): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  return [pathToFileURL(file).href, file]
    .flatMap((name) => stack.split(name).slice(1))
    .map((rest) => Number(LINE.exec(rest)?.[1]))
    .find((line) => line > 0)
}

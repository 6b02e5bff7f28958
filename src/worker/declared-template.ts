import { readFile } from 'node:fs/promises'

/**
 * Matches calls of `useTemplate` at the beginning of a line. Also matches comments and strings, so that calls in them
 * are skipped.
 */
const TOKENS = new RegExp(
  [
    String.raw`\/\/[^\n]*`,
    String.raw`\/\*[^]*?\*\/`,
    String.raw`^[ \t;]*(?:await\s+|void\s+)?useTemplate\s*\(\s*(?<quote>['"\`])(?<name>[^'"\`$\\\n]+)\k<quote>`,
    String.raw`'(?:\\.|[^'\\\n])*'`,
    String.raw`"(?:\\.|[^"\\\n])*"`,
    '`(?:\\\\[^]|[^`\\\\])*`',
  ].join('|'),
  'gm',
)

/**
 * Returns the template that a test file names with `useTemplate('…')`. Reads the source, as the file has not run yet.
 */
export async function readDeclaredTemplate(file: string): Promise<string | undefined> {
  const source = await readFile(file, 'utf8').catch(() => '')
  return source.includes('useTemplate') ? findDeclaredTemplate(source) : undefined
}

/** Returns the template of the first `useTemplate('…')` in a source text; undefined if there is no such call. */
export function findDeclaredTemplate(source: string): string | undefined {
  for (const { groups } of source.matchAll(TOKENS)) {
    if (groups?.name !== undefined) {
      return groups.name
    }
  }
  return undefined
}

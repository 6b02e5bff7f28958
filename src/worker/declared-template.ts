import { readFile } from 'node:fs/promises'

/** Matches comments and strings, to skip them, and calls of `useTemplate` at the beginning of a line. */
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

/** Reads the template that a test file names with `useTemplate('…')` from its source, as the file has not run yet. */
export async function readDeclaredTemplate(file: string): Promise<string | undefined> {
  const source = await readFile(file, 'utf8').catch(() => '')
  return source.includes('useTemplate') ? findDeclaredTemplate(source) : undefined
}

/** Finds the first `useTemplate('…')` in a source text. */
export function findDeclaredTemplate(source: string): string | undefined {
  for (const { groups } of source.matchAll(TOKENS)) {
    if (groups?.name !== undefined) {
      return groups.name
    }
  }
  return undefined
}

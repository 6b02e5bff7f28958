import { readFile } from 'node:fs/promises'

/** Comments and texts, which are passed over, or a call at the beginning of a line, whose argument is caught. */
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

/** The template that a test file names with `useTemplate('…')`, read from its source since it has not run yet. */
export async function readDeclaredTemplate(file: string): Promise<string | undefined> {
  const source = await readFile(file, 'utf8').catch(() => '')
  return source.includes('useTemplate') ? findDeclaredTemplate(source) : undefined
}

/** The same, of a source. */
export function findDeclaredTemplate(source: string): string | undefined {
  for (const { groups } of source.matchAll(TOKENS)) {
    if (groups?.name !== undefined) {
      return groups.name
    }
  }
  return undefined
}

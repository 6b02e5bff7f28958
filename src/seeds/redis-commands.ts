import { createSeedError } from './seed-error.ts'

/** One command of a file. An argument that contains `\xHH` is a Buffer, as its bytes may not be valid text. */
export interface RedisCommand {
  readonly args: readonly (string | Buffer)[]
  /** Line in the file, counted from 1. */
  readonly line: number
}

const BLANKS = /^[ \t\r\v\f]+/
const SKIPPED_LINE = /^[ \t\r\v\f]*(?:#|$)/
// Matches unquoted text, then an optional quoted section. After a closing quote, only a blank is valid.
const ARGUMENT =
  /^([^ \t\r\v\f"']*)(?:"([^"\\]*(?:\\[^][^"\\]*)*)"|'([^'\\]*(?:\\(?:'|(?!'))[^'\\]*)*)')?(?=[ \t\r\v\f]|$)/
const ESCAPE = /\\(x[0-9a-fA-F]{2}|[^])/gu
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\u0007' }

/**
 * Parses the commands of a text, one per line, with the quoting rules of redis-cli. Blank lines and lines that begin
 * with `#` are skipped.
 *
 * @throws InfraError `INFRA_SEED_FAILED` for a quote that is not closed or that is closed within a word
 */
export function parseRedisCommands(text: string, file: string): RedisCommand[] {
  const lines = text.replace(/^\ufeff/, '').split('\n')
  return lines.flatMap((content, index) => {
    const line = index + 1
    return SKIPPED_LINE.test(content) ? [] : [{ args: parseArguments(content, { file, line }), line }]
  })
}

function parseArguments(content: string, place: { file: string; line: number }): (string | Buffer)[] {
  const args: (string | Buffer)[] = []
  let rest = content.replace(BLANKS, '')
  while (rest !== '') {
    const match = ARGUMENT.exec(rest)
    if (match === null) {
      throw createSeedError({
        ...place,
        reason: 'unbalanced quotes',
        remedy: 'Close each quote on its line, followed by a blank; for a line break write \\n inside double quotes',
        service: 'redis',
      })
    }
    const [whole, bare = '', double, single = ''] = match
    args.push(double === undefined ? bare + single.replaceAll("\\'", "'") : decodeQuoted(bare, double))
    rest = rest.slice(whole.length).replace(BLANKS, '')
  }
  return args
}

function decodeQuoted(bare: string, quoted: string): string | Buffer {
  const parts = [Buffer.from(bare)]
  let isBinary = false
  let from = 0
  for (const { 0: escape, 1: code = '', index } of quoted.matchAll(ESCAPE)) {
    const isByte = code.length === 3
    isBinary ||= isByte
    const meaning = isByte ? Buffer.from(code.slice(1), 'hex') : Buffer.from(CONTROLS[code] ?? code)
    parts.push(Buffer.from(quoted.slice(from, index)), meaning)
    from = index + escape.length
  }
  const bytes = Buffer.concat([...parts, Buffer.from(quoted.slice(from))])
  return isBinary ? bytes : bytes.toString()
}

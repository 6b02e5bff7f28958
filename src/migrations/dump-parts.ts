import { createSeedError } from '../seeds/seed-error.ts'
import type { SeedFile } from '../seeds/seed-file.ts'
import { type SqlStatement, splitSqlStatements } from '../seeds/sql-statements.ts'
import { readSqlTokens } from '../seeds/sql-tokens.ts'

/** A statement of a dump. For `COPY … FROM stdin`, `rows` is the range of its rows in the file's text. */
export interface DumpPart extends SqlStatement {
  readonly rows?: Range
}

interface Range {
  readonly start: number
  readonly end: number
}

interface CopyBlock extends Range {
  readonly sql: string
  readonly rows: Range
}

const ROWS_END = '\n\\.'

/**
 * Splits a dump into statements, each `COPY` with its rows.
 *
 * @throws InfraError `INFRA_SEED_FAILED` for psql commands except `\restrict`, and for rows without an end mark
 */
export function splitDump(file: SeedFile): DumpPart[] {
  const blocks = [...findCopyBlocks(file)]
  // The rows are replaced with blanks, which leaves plain SQL with unchanged line numbers.
  const statements = splitSqlStatements(blankOut(file.text, blocks), file.name)
  const copies = blocks.map(({ sql, start, rows }) => ({ text: sql, offset: start, line: 0, rows }))
  return [...statements, ...copies].toSorted((left, right) => left.offset - right.offset)
}

function* findCopyBlocks(file: SeedFile): Generator<CopyBlock> {
  for (let block = nextCopyBlock(file, 0); block; block = nextCopyBlock(file, block.end)) {
    yield block
  }
}

function nextCopyBlock(file: SeedFile, from: number): CopyBlock | undefined {
  let words: string[] = []
  let start = from
  for (const token of readSqlTokens(file.text.slice(from))) {
    if (words.length === 0) {
      start = from + token.start
    }
    if (token.lexeme === ';') {
      if (readsRows(words)) {
        return readBlock(file, start, from + token.start)
      }
      words = []
    } else if (words.length === 0 || words[0] === 'copy') {
      words.push(token.lexeme)
    }
  }
  return undefined
}

function readsRows(words: readonly string[]): boolean {
  return words.some((word, index) => word === 'stdin' && words[index - 1] === 'from')
}

function readBlock(file: SeedFile, start: number, semicolon: number): CopyBlock {
  const { text } = file
  const lineEnd = text.indexOf('\n', semicolon)
  const last = lineEnd === -1 ? -1 : text.indexOf(ROWS_END, lineEnd)
  if (last === -1) {
    throw createSeedError({
      file: file.name,
      line: text.slice(0, start).split('\n').length,
      reason: 'the rows of this COPY do not end with the line "\\."',
      remedy: 'Dump again: the file is incomplete',
      service: 'postgres',
    })
  }
  const rows = { start: lineEnd + 1, end: last + 1 }
  return { start, end: last + ROWS_END.length, sql: text.slice(start, semicolon), rows }
}

function blankOut(text: string, ranges: readonly Range[]): string {
  const parts: string[] = []
  let from = 0
  for (const { start, end } of ranges) {
    const lines = countLines(text, start, end)
    parts.push(text.slice(from, start), '\n'.repeat(lines), ' '.repeat(end - start - lines))
    from = end
  }
  return [...parts, text.slice(from)].join('')
}

function countLines(text: string, start: number, end: number): number {
  let count = 0
  for (let at = text.indexOf('\n', start); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) {
    count += 1
  }
  return count
}

import { refuseCopyFromStdin, refuseMetaCommand } from './psql-only.ts'
import { readSqlTokens, type SqlToken } from './sql-tokens.ts'

/** One SQL statement of a file, without its semicolon. */
export interface SqlStatement {
  readonly text: string
  /** Start of `text` in the file's text. */
  readonly offset: number
  /** Line of the statement's first token, counted from 1. */
  readonly line: number
}

interface OpenStatement {
  readonly start: number
  readonly line: number
  readonly firstWord: string
  previous: string
  end: number
  /** Nesting depth of `( … )`, which can contain the actions of a rule, separated by semicolons. */
  parentheses: number
  /** Nesting depth of `BEGIN ATOMIC … END`, and of `CASE … END` in such a block. */
  blocks: number
}

/**
 * Splits SQL text into statements, as `psql -f` does. Empty statements are skipped.
 *
 * @throws InfraError `INFRA_SEED_FAILED` for backslash commands and `COPY … FROM stdin`, which only psql supports
 */
export function splitSqlStatements(text: string, file = 'SQL text'): SqlStatement[] {
  const lineAt = createLineCounter(text)
  const statements: SqlStatement[] = []
  let open: OpenStatement | undefined
  const close = (): void => {
    if (open !== undefined) {
      statements.push({ text: text.slice(open.start, open.end), offset: open.start, line: open.line })
      open = undefined
    }
  }
  for (const token of readSqlTokens(text)) {
    if (token.lexeme === '\\') {
      throw refuseMetaCommand(text.slice(token.start), { file, line: lineAt(token.start) })
    }
    if (token.lexeme === ';' && !isNested(open)) {
      close()
      continue
    }
    open ??= openStatement(token, lineAt(token.start))
    extendStatement(open, token)
    if (token.lexeme === 'stdin' && open.firstWord === 'copy' && open.previous === 'from' && open.parentheses === 0) {
      throw refuseCopyFromStdin({ file, line: open.line })
    }
    open.previous = token.lexeme
  }
  close()
  return statements
}

function openStatement({ lexeme, start, end }: SqlToken, line: number): OpenStatement {
  return { start, end, line, firstWord: lexeme, previous: '', parentheses: 0, blocks: 0 }
}

function extendStatement(open: OpenStatement, { lexeme, end }: SqlToken): void {
  open.end = end
  if (lexeme === '(') {
    open.parentheses += 1
  } else if (lexeme === ')') {
    open.parentheses = Math.max(0, open.parentheses - 1)
  } else if (opensBlock(open, lexeme)) {
    open.blocks += 1
  } else if (lexeme === 'end' && open.blocks > 0 && !isName(open)) {
    open.blocks -= 1
  }
}

function opensBlock(open: OpenStatement, lexeme: string): boolean {
  if (lexeme === 'atomic') {
    return open.previous === 'begin' && open.firstWord === 'create' && open.parentheses === 0
  }
  return lexeme === 'case' && open.blocks > 0 && !isName(open)
}

// Whether a reserved word is used as a column's name, as in "SELECT 1 AS end" and "t.end".
function isName({ previous }: OpenStatement): boolean {
  return previous === 'as' || previous === '.'
}

function isNested(open: OpenStatement | undefined): boolean {
  return open !== undefined && (open.parentheses > 0 || open.blocks > 0)
}

// Returns a function that converts offsets to line numbers. Call it with increasing offsets, as it counts each line
// break only once.
function createLineCounter(text: string): (offset: number) => number {
  let line = 1
  let next = text.indexOf('\n')
  return (offset) => {
    for (; next !== -1 && next < offset; next = text.indexOf('\n', next + 1)) {
      line += 1
    }
    return line
  }
}

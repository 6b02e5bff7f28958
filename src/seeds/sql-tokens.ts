/** A token of SQL; blanks and comments are not tokens. A quoted text is a single token. */
export interface SqlToken {
  /** The beginning of the token in lower case: a whole word, a single symbol, or an opening quote. */
  readonly lexeme: string
  readonly start: number
  readonly end: number
}

// pg_dump encloses its output in \restrict and \unrestrict. They only forbid psql commands, which are rejected here
// anyway. Therefore they are skipped like comments.
const RESTRICT = String.raw`^\\(?:un)?restrict\b[^\n\r]*`
const BLANK = String.raw`[ \t\n\r\f\v]+|--[^\n\r]*|/\*`
const DOLLAR_TAG = String.raw`\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$`
const WORD = String.raw`[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*`
const LEXEME = new RegExp(`${RESTRICT}|${BLANK}|[eE]'|${DOLLAR_TAG}|${WORD}|[0-9]+|[^]`, 'my')
const STARTS_BLANK = /^(?:[ \t\n\r\f\v]|--|\/\*|\\.)/
const STARTS_DOLLAR_QUOTE = /^\$.*\$$/

// PostgreSQL allows blanks and comments with at least one line break between the parts of 'a'⏎'b'. The look-ahead makes
// the match of a comment unambiguous. Without it, the matching time doubles with every "--" in a comment.
const CONTINUATION = /(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y

/** Yields the tokens of a text. It is split as by PostgreSQL's lexer with `standard_conforming_strings` on. */
export function* readSqlTokens(text: string): Generator<SqlToken> {
  const first = text.startsWith('\ufeff') ? 1 : 0
  for (let start = first, end = first; start < text.length; start = end) {
    LEXEME.lastIndex = start
    const lexeme = LEXEME.exec(text)?.[0] ?? ''
    const closing = findEnd(text, lexeme, start + lexeme.length)
    end = closing ?? text.length
    // Unclosed quotes and comments are yielded as tokens, so that PostgreSQL reports the error.
    if (closing === undefined || !STARTS_BLANK.test(lexeme)) {
      yield { lexeme: lexeme.toLowerCase(), start, end }
    }
  }
}

function findEnd(text: string, lexeme: string, from: number): number | undefined {
  if (lexeme === '/*') {
    return findCommentEnd(text, from)
  }
  if (lexeme === "e'" || lexeme === "E'") {
    return findEscapeStringEnd(text, from)
  }
  // 'a''b' is read as two strings. This splits the text into the same statements.
  const isQuote = lexeme === "'" || lexeme === '"' || STARTS_DOLLAR_QUOTE.test(lexeme)
  return isQuote ? findAfter(text, lexeme, from) : from
}

function findAfter(text: string, closing: string, from: number): number | undefined {
  const index = text.indexOf(closing, from)
  return index === -1 ? undefined : index + closing.length
}

function findCommentEnd(text: string, from: number): number | undefined {
  const marks = /\/\*|\*\//g
  marks.lastIndex = from
  for (let depth = 1; depth > 0;) {
    const mark = marks.exec(text)?.[0]
    if (mark === undefined) {
      return undefined
    }
    depth += mark === '/*' ? 1 : -1
  }
  return marks.lastIndex
}

function findEscapeStringEnd(text: string, from: number): number | undefined {
  const marks = /\\[^]|'/g
  marks.lastIndex = from
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (mark[0] === "'") {
      const next = findContinuation(text, marks.lastIndex)
      if (next === undefined) {
        return marks.lastIndex
      }
      marks.lastIndex = next
    }
  }
  return undefined
}

function findContinuation(text: string, from: number): number | undefined {
  if (text[from] === "'") {
    return from + 1
  }
  CONTINUATION.lastIndex = from
  return CONTINUATION.test(text) ? CONTINUATION.lastIndex : undefined
}

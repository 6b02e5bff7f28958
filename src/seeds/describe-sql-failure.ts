import { type InfraError, messageOf } from '../errors.ts'
import { remedyForTaken } from './already-there.ts'
import { createSeedError } from './seed-error.ts'
import type { SeedFile } from './seed-file.ts'
import type { SqlStatement } from './sql-statements.ts'

/** The fields of a PostgreSQL error, as `pg` provides them. */
interface PostgresFailure {
  readonly severity?: string
  readonly code?: string
  readonly detail?: string
  readonly hint?: string
  readonly where?: string
  /** Position in the statement, in characters counted from 1. */
  readonly position?: string
}

const EXCERPT_WIDTH = 100
// SQLSTATE codes of undefined_schema, undefined_table, undefined_column, undefined_function and undefined_object.
const UNDEFINED_CODES = ['3F000', '42P01', '42703', '42883', '42704']

// Matches the SQLSTATE codes of connection, resource, operator and system errors, which the statement does not cause.
// The server may translate `severity`, but not the code.
const SERVER_TROUBLE = /^(?:08|53|57P|58|XX)/

/** Whether the server, and not the statement, is the cause of an error. */
export function isServerTrouble(error: unknown): boolean {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as PostgresFailure
  return typeof code === 'string' && code.length === 5 && SERVER_TROUBLE.test(code)
}

/** Creates the error for a statement that PostgreSQL rejected: location, PostgreSQL's message, excerpt and remedy. */
export function describeSqlFailure(error: unknown, statement: SqlStatement, file: SeedFile): InfraError {
  const failure: PostgresFailure = typeof error === 'object' && error !== null ? error : {}
  const offset = offsetInStatement(failure, statement)
  const before = file.text.slice(0, statement.offset + (offset ?? 0)).split('\n')
  const column = offset === undefined ? undefined : before.at(-1)?.length
  return createSeedError({
    file: file.name,
    line: before.length,
    reason: messageOf(error),
    detail: [...renderFields(failure), ...renderExcerpt(file.text, before.length, column)].join('\n'),
    remedy:
      remedyForTaken(messageOf(error), { code: failure.code, statement: statement.text }) ??
      renderRemedy(failure, file.name),
    service: 'postgres',
    cause: error,
  })
}

// Converts the position: PostgreSQL counts characters, but JavaScript counts UTF-16 units.
function offsetInStatement({ position }: PostgresFailure, { text }: SqlStatement): number | undefined {
  const characters = Number(position) - 1
  return Number.isInteger(characters) ? Array.from(text).slice(0, characters).join('').length : undefined
}

function renderFields({ severity, code, detail, hint, where }: PostgresFailure): string[] {
  return [
    ...(severity === undefined ? [] : [`${severity}, SQLSTATE ${code}`]),
    ...(detail === undefined ? [] : [`Detail: ${detail}`]),
    ...(hint === undefined ? [] : [`Hint: ${hint}`]),
    ...(where === undefined ? [] : [`Where: ${where}`]),
  ]
}

function renderExcerpt(text: string, line: number, column: number | undefined): string[] {
  const whole = (text.split('\n')[line - 1] ?? '').replaceAll(/\s/g, ' ').trimEnd()
  const from = Math.max(0, Math.min((column ?? 0) - EXCERPT_WIDTH / 2, whole.length - EXCERPT_WIDTH))
  const gutter = `  ${line} | `
  const excerpt = gutter + whole.slice(from, from + EXCERPT_WIDTH)
  return column === undefined ? [excerpt] : [excerpt, `${' '.repeat(gutter.length + column - from)}^`]
}

function renderRemedy({ severity, code = '' }: PostgresFailure, name: string): string {
  if (severity === undefined || SERVER_TROUBLE.test(code)) {
    return 'Look in the log of the PostgreSQL server for the reason'
  }
  return UNDEFINED_CODES.includes(code)
    ? `Correct ${name}, or give it a name that sorts after the file that creates what is missing`
    : `Correct ${name} and run the tests again`
}

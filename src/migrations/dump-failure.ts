import { type InfraError, messageOf } from '../errors.ts'
import { describeSqlFailure } from '../seeds/describe-sql-failure.ts'
import { createSeedError } from '../seeds/seed-error.ts'
import type { SeedFile } from '../seeds/seed-file.ts'
import type { DumpPart } from './dump-parts.ts'

/** The fields of a PostgreSQL error that are used here. */
interface PostgresFailure {
  readonly code?: string
  /** Name of the server function that raised the error. Unlike the message, it is never translated. */
  readonly routine?: string
  readonly where?: string
}

const UNDEFINED_OBJECT = '42704'
const DUPLICATE_SCHEMA = '42P06'
const SETS_RIGHTS = /^(?:grant|revoke|alter\s+default\s+privileges)\s|^alter\s[^]*\sowner\s+to\s/i
/**
 * Matches the statement at the beginning of a dump of the schema `public`. Every new database already has this schema.
 */
const CREATES_PUBLIC = /^create\s+schema\s+public\s*$/i
/** Matches text like "COPY customers, line 3, column id", with "line" in the server's language. */
const ROW_NUMBER = /^COPY .*?, \D*(\d+)/

/** Whether the load of a dump continues after this statement has failed. */
export function isHarmless(error: unknown, { text }: DumpPart, missingRoles: 'fail' | 'skip'): boolean {
  const { code } = error as PostgresFailure
  if (code === DUPLICATE_SCHEMA) {
    return CREATES_PUBLIC.test(text)
  }
  return missingRoles === 'skip' && isRoleMissing(error) && SETS_RIGHTS.test(text)
}

/** Creates the error for a part of a dump that PostgreSQL rejected. */
export function describeDumpFailure(error: unknown, part: DumpPart, dump: SeedFile): InfraError {
  if (isRoleMissing(error)) {
    return describeMissingRole(error, part, dump)
  }
  const { where = '' } = error as PostgresFailure
  const row = part.rows && Number(ROW_NUMBER.exec(where)?.[1])
  return describeSqlFailure(error, row && part.rows ? rowOf(part, row, dump) : part, dump)
}

function isRoleMissing(error: unknown): boolean {
  const { code, routine } = error as PostgresFailure
  return code === UNDEFINED_OBJECT && routine === 'get_role_oid'
}

function describeMissingRole(cause: unknown, { text, line }: DumpPart, { name }: SeedFile): InfraError {
  const create = 'Create the role in a migration before it'
  return createSeedError({
    file: name,
    line,
    reason: messageOf(cause),
    detail: `  ${line} | ${text.replaceAll(/\s+/g, ' ')}`,
    remedy: SETS_RIGHTS.test(text)
      ? `${create}, dump with --no-owner --no-privileges, or skip such statements with: missingRoles: 'skip'`
      : create,
    service: 'postgres',
    cause,
  })
}

/** Returns the part with the offset of one of its rows. Rows are counted from 1. */
function rowOf(part: DumpPart, row: number, { text }: SeedFile): DumpPart {
  let offset = part.rows?.start ?? part.offset
  for (let line = 1; line < row; line += 1) {
    offset = text.indexOf('\n', offset) + 1
  }
  return { ...part, offset }
}

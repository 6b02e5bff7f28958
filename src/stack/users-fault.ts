import { InfraError } from '../errors.ts'
import { isServerTrouble } from '../seeds/describe-sql-failure.ts'

/** Errors in the user's files and functions, which would occur on any server. */
const CODES: readonly string[] = ['INFRA_SEED_FAILED', 'INFRA_SEED_MISSING', 'INFRA_TEMPLATE_UNKNOWN']

/** Whether the user's files or functions caused an error, as far as the error itself shows. */
export function isUsersFault(error: unknown): boolean {
  return error instanceof InfraError && CODES.includes(error.code) && !causesOf(error).some(isServerTrouble)
}

function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = []
  for (let cause = error; cause instanceof Error && !causes.includes(cause); cause = cause.cause) {
    causes.push(cause)
  }
  return causes
}

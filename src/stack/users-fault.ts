import { InfraError } from '../errors.ts'
import { isServerTrouble } from '../seeds/describe-sql-failure.ts'

/** What is wrong with files and functions of the user's, which no other server makes right. */
const CODES: readonly string[] = ['INFRA_SEED_FAILED', 'INFRA_SEED_MISSING', 'INFRA_TEMPLATE_UNKNOWN']

/** Whether an error is about what the user has put into a server, as far as the error itself says. */
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

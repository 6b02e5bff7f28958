// Names of the databases that vitest-infra creates, and of the schemas that it creates instead, with patterns that
// match these names. Both JavaScript and PostgreSQL evaluate the patterns.

/** The prefix of all names. */
export const MARK = 'vitest_infra_'

/** A run's id: eight hexadecimal digits. */
const RUN = '[0-9a-f]{8}'
const FINGERPRINT_DIGITS = 24

/** Matches what belongs to a single run. The first group is the run's id. */
export const OF_RUN = `^${MARK}(${RUN})_`
/** Matches templates, of one run or of all runs. */
export const OF_TEMPLATE = `^${MARK}(?:${RUN}_)?t_[0-9a-f]{${FINGERPRINT_DIGITS}}$`
/** Matches templates that all runs share. */
export const OF_SHARED_TEMPLATE = `^${MARK}t_`
/** Matches what may be created and dropped on a server that others use too. */
export const DROPPABLE = `^${MARK}(?:${RUN}_.+|t_[0-9a-f]{${FINGERPRINT_DIGITS}}$)`

/** Returns the prefix of the names of a run's databases. */
export function prefixOf(runId: string): string {
  return `${MARK}${runId}_`
}

/** Returns the name of a template that only the given run can use or, without `runId`, all runs. */
export function nameTemplate(fingerprint: string, runId?: string): string {
  return `${runId === undefined ? MARK : prefixOf(runId)}t_${fingerprint.slice(0, FINGERPRINT_DIGITS)}`
}

/** Returns the name of the database that is created in advance as the main database of the next run. */
export function nameSpare(template: string): string {
  return template.replace('_t_', '_spare_')
}

// The names that we give to databases, and to schemas that stand in for them, and the patterns that recognise them. All
// patterns are read by JavaScript and by PostgreSQL alike.

/** What all of them begin with. */
export const MARK = 'vitest_infra_'

/** A run's id: eight hexadecimal digits. */
const RUN = '[0-9a-f]{8}'
const FINGERPRINT_DIGITS = 24

/** What goes with a run; its group is the run's id. */
export const OF_RUN = `^${MARK}(${RUN})_`
/** A template's, of one run or of all. */
export const OF_TEMPLATE = `^${MARK}(?:${RUN}_)?t_[0-9a-f]{${FINGERPRINT_DIGITS}}$`
/** A template's that all runs share. */
export const OF_SHARED_TEMPLATE = `^${MARK}t_`
/** What may be made and dropped on a server that others use, too. */
export const DROPPABLE = `^${MARK}(?:${RUN}_.+|t_[0-9a-f]{${FINGERPRINT_DIGITS}}$)`

/** What the names of a run's databases begin with. */
export function prefixOf(runId: string): string {
  return `${MARK}${runId}_`
}

/** Of a template that this run alone can use, or that any can. */
export function nameTemplate(fingerprint: string, runId?: string): string {
  return `${runId === undefined ? MARK : prefixOf(runId)}t_${fingerprint.slice(0, FINGERPRINT_DIGITS)}`
}

/** The database that is made ahead for the next run to have as its main one. */
export function nameSpare(template: string): string {
  return template.replace('_t_', '_spare_')
}

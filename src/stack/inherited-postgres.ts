import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'

/** For a server that is as it was when new; a note cannot be empty. */
const NEW = 'new'

/** What the next run has to know of a server. */
export async function notePostgres(admin: PostgresAdmin, database: string): Promise<string> {
  return (await admin.survey(database)).state || NEW
}

export interface Inheritance {
  /** The main database. */
  readonly database: string
  /** The database of the default template, which may not be there. */
  readonly template: string
  /** What the run before has noted. */
  readonly note: string
}

/**
 * What an earlier run has left on a server, if this one can do with it: tests of that run must not have changed what
 * belongs to no database, and where a template is still to be made, migrations of that run must not have either.
 */
export async function inheritPostgres(admin: PostgresAdmin, inheritance: Inheritance): Promise<PostgresSurvey> {
  const { database, template, note } = inheritance
  const survey = await admin.survey(database)
  const isNew = survey.state === ''
  if (!isNew && (survey.state !== note || !survey.templates.includes(template))) {
    throw new Error('roles, settings or other things that belong to no database were changed')
  }
  const { user } = admin.address
  if (user !== database && user !== admin.address.database) {
    await admin.dropDatabase(user, { force: true })
  }
  return survey
}

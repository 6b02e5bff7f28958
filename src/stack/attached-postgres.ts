import { nameSpare, prefixOf } from '../services/database-names.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'
import { ServerWide } from '../services/server-wide.ts'

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
  /** The databases of all templates that the run may want. */
  readonly wanted: readonly string[]
  /** What the run before has noted. */
  readonly note: string
}

/** What an earlier run has left on a server. */
export interface VerifiedPostgres extends PostgresSurvey {
  /** Whether something was dropped that templates of before have made, so that what was noted is not true any more. */
  readonly isCleared: boolean
}

/**
 * What an earlier run has left on a server, if this one can do with it: tests of that run must not have changed what
 * belongs to no database, and where a template is still to be made, nothing may be there but what wanted templates made.
 */
export async function verifyAttached(admin: PostgresAdmin, inheritance: Inheritance): Promise<VerifiedPostgres> {
  const survey = await verifyState(admin, inheritance)
  const { database } = inheritance
  const { user } = admin.address
  if (user !== database && user !== admin.address.database) {
    await admin.dropDatabase(user, { force: true })
  }
  return survey
}

async function verifyState(
  admin: PostgresAdmin,
  { database, template, wanted, note }: Inheritance,
): Promise<VerifiedPostgres> {
  const survey = await admin.survey(database)
  if (survey.state === '') {
    return { ...survey, isCleared: false }
  }
  if (survey.state !== note) {
    throw stateChanged()
  }
  const { kept, isCleared } = await new ServerWide(admin).clear(wanted)
  if (!isCleared && survey.templates.includes(template)) {
    return { ...survey, isCleared }
  }
  const left = await admin.survey(database, kept)
  if (left.state !== '') {
    throw stateChanged()
  }
  return { ...left, isCleared }
}

function stateChanged(): Error {
  return new Error('roles, settings or other things that belong to no database were changed')
}

/** Has a clone of the template take the place of the main database: the one that the run before has made for that, or a new one. */
export async function renewMain(
  admin: PostgresAdmin,
  { database, template, runId }: { readonly database: string; readonly template: string; readonly runId: string },
): Promise<void> {
  if (!(await admin.swapDatabases(database, { by: nameSpare(template), aside: `${prefixOf(runId)}main` }))) {
    await admin.dropDatabase(database, { force: true })
    await admin.createDatabase(database, template)
  }
}

/** Makes the main database of the next run. */
export async function makeSpare(admin: PostgresAdmin, template: string): Promise<void> {
  await admin.dropDatabase(nameSpare(template), { force: true })
  await admin.createDatabase(nameSpare(template), template)
}

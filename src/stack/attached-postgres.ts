import { nameSpare, prefixOf } from '../internal/names.ts'
import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'
import { ServerWide } from '../services/server-wide.ts'

/** The note for a server in its original state, because a note cannot be empty. */
const NEW = 'new'

/** Returns the note with which the next run verifies this server. */
export async function notePostgres(admin: PostgresAdmin, database: string): Promise<string> {
  return (await admin.survey(database)).state || NEW
}

export interface VerifyOptions {
  /** The main database. */
  readonly database: string
  /** The database of the default template; it may not exist yet. */
  readonly template: string
  /** The databases of all templates of this run. */
  readonly wanted: readonly string[]
  /** The note that the previous run stored. */
  readonly note: string
}

/** An attached server that this run can use. */
export interface VerifiedPostgres extends PostgresSurvey {
  /** Whether objects of outdated templates were dropped, so that the note must be stored again. */
  readonly isCleared: boolean
}

/**
 * Verifies that this run can use the server of an earlier run. Tests must not have changed server-wide objects such as
 * roles and settings. If the default template is still to be built, only this run's templates may have created such
 * objects.
 *
 * @throws Error if the server must be replaced
 */
export async function verifyAttached(admin: PostgresAdmin, options: VerifyOptions): Promise<VerifiedPostgres> {
  const survey = await verifyState(admin, options)
  const { database } = options
  const { user } = admin.address
  if (user !== database && user !== admin.address.database) {
    await admin.dropDatabase(user, { force: true })
  }
  return survey
}

async function verifyState(
  admin: PostgresAdmin,
  { database, template, wanted, note }: VerifyOptions,
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

/** Replaces the main database by a clone of the template: the spare clone of the previous run, or a new one. */
export async function resetMain(
  admin: PostgresAdmin,
  { database, template, runId }: { readonly database: string; readonly template: string; readonly runId: string },
): Promise<void> {
  if (!(await admin.swapDatabases(database, { by: nameSpare(template), aside: `${prefixOf(runId)}main` }))) {
    await admin.dropDatabase(database, { force: true })
    await admin.createDatabase(database, template)
  }
}

/** Creates a clone that becomes the main database of the next run. */
export async function makeSpare(admin: PostgresAdmin, template: string): Promise<void> {
  await admin.dropDatabase(nameSpare(template), { force: true })
  await admin.createDatabase(nameSpare(template), template)
}

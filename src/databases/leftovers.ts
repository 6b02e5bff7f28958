import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'

/** Maximum number of templates. Each takes memory, and this many suffice for switching between branches. */
const MAX_TEMPLATES = 8

/** Drops leftover databases of earlier runs, and the oldest templates that are not `wanted`. */
export async function dropLeftovers(
  admin: Pick<PostgresAdmin, 'dropDatabase' | 'dropTemplate'>,
  { templates, leftovers }: PostgresSurvey,
  wanted: readonly string[],
): Promise<void> {
  for (const database of leftovers) {
    // The drop is not forced, as a user may still be connected to the database.
    await admin.dropDatabase(database, { force: false })
  }
  const others = templates.filter((template) => !wanted.includes(template))
  const spare = Math.max(0, MAX_TEMPLATES - wanted.length)
  for (const template of others.slice(0, Math.max(0, others.length - spare))) {
    await admin.dropTemplate(template, { force: true })
  }
}

import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'

/** Each takes room in memory; so many are had by going back and forth between branches. */
const TEMPLATES_KEPT = 8

/** Drops what runs before have left on a server; of templates, the oldest of those that are not `wanted`. */
export async function dropLeftovers(
  admin: Pick<PostgresAdmin, 'dropDatabase' | 'dropTemplate'>,
  { templates, leftovers }: PostgresSurvey,
  wanted: readonly string[],
): Promise<void> {
  for (const database of leftovers) {
    // A user may still look into it.
    await admin.dropDatabase(database, { force: false })
  }
  const others = templates.filter((template) => !wanted.includes(template))
  const room = Math.max(0, TEMPLATES_KEPT - wanted.length)
  for (const template of others.slice(0, Math.max(0, others.length - room))) {
    await admin.dropTemplate(template, { force: true })
  }
}

import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { Marked, MarkedDatabase } from './marked-databases.ts'
import type { RunClaim } from './run-claim.ts'

/** Number of unused templates to keep, as other branches and projects may need them soon. */
const MAX_UNUSED_TEMPLATES = 10

export interface SweepOptions {
  readonly admin: Pick<PostgresAdmin, 'dropDatabase'> & Partial<Pick<PostgresAdmin, 'dropTemplate'>>
  readonly claim: Pick<RunClaim, 'ifOver' | 'ifUnused'>
  readonly marked: Pick<Marked, 'list'>
  readonly runId: string
}

/**
 * Drops the databases of ended runs, and old templates that no run uses. A run has ended if its lock is free; its age
 * does not matter. Drops are not forced, as a process that is connected to a database may still be running.
 */
export async function sweepDatabases({ admin, claim, marked: present, runId }: SweepOptions): Promise<void> {
  const marked = await present.list()
  const left = marked.filter(({ run }) => run !== undefined && run !== runId)
  for (const [run = '', databases] of Map.groupBy(left, (database) => database.run)) {
    await claim.ifOver(run, async () => {
      for (const { name } of databases) {
        await admin.dropDatabase(name, { force: false })
      }
    })
  }
  for (const { name } of oldTemplates(marked)) {
    await claim.ifUnused(name, async () => void (await admin.dropTemplate?.(name, { force: false })))
  }
}

/** Returns the oldest sealed templates above the limit, and all templates whose builder died before it sealed them. */
function oldTemplates(marked: readonly MarkedDatabase[]): readonly MarkedDatabase[] {
  const templates = marked.filter(({ run }) => run === undefined)
  const sealed = templates.filter(({ isSealed }) => isSealed)
  return [...templates.filter(({ isSealed }) => !isSealed), ...sealed.slice(MAX_UNUSED_TEMPLATES)]
}

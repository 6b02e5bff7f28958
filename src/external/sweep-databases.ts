import type { PostgresAdmin } from '../services/postgres-admin.ts'
import type { Marked, MarkedDatabase } from './marked-databases.ts'
import type { RunClaim } from './run-claim.ts'

/** Unused templates that may be needed again soon: those of branches, of other projects. */
const UNUSED_TEMPLATES_KEPT = 10

export interface SweepOptions {
  readonly admin: Pick<PostgresAdmin, 'dropDatabase'> & Partial<Pick<PostgresAdmin, 'dropTemplate'>>
  readonly claim: Pick<RunClaim, 'ifOver' | 'ifUnused'>
  readonly marked: Pick<Marked, 'list'>
  readonly runId: string
}

/**
 * Drops what runs that are over have left on a server that outlives them, and old templates that no run uses. Never by
 * age: a run is over when its lock is free. Nor by force: a process that is connected to one of them may still live.
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

/** And those whose builder died before it had sealed them. */
function oldTemplates(marked: readonly MarkedDatabase[]): readonly MarkedDatabase[] {
  const templates = marked.filter(({ run }) => run === undefined)
  const sealed = templates.filter(({ isSealed }) => isSealed)
  return [...templates.filter(({ isSealed }) => !isSealed), ...sealed.slice(UNUSED_TEMPLATES_KEPT)]
}

import { removeSnapshots } from '../providers/remove-snapshots.ts'

/** Removes the snapshots of all projects; returns a message with their number. */
export async function gc(environment: Record<string, string | undefined>): Promise<string> {
  const { removed, inUse } = await removeSnapshots(environment)
  const left = inUse > 0 ? `; ${count(inUse)} not removed, because in use` : ''
  return `${count(removed)} removed${left}`
}

function count(number: number): string {
  return `${number} snapshot${number === 1 ? '' : 's'}`
}

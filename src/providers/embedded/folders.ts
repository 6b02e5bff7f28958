import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'

type Environment = Readonly<Record<string, string | undefined>>

/** The `f_type` values of Linux's in-memory file systems. */
const IN_MEMORY = [0x01021994, 0x858458f6]
/**
 * Free space that data in memory needs. An empty data directory takes 40 MB, and each clone of a template 8 MB or more.
 */
const ROOM_BYTES = 512 * 1024 * 1024

export interface DataPlace {
  readonly folder: string
  readonly isMemory: boolean
}

/**
 * Resolves to the best folder for data: one in memory if it has enough free space, otherwise the folder for temporary
 * files.
 */
export async function findDataPlace({ XDG_RUNTIME_DIR: runtime }: Environment): Promise<DataPlace> {
  const disk = tmpdir()
  for (const folder of ['/dev/shm', disk, ...(runtime ? [runtime] : [])]) {
    const facts = await statfs(folder).catch(() => undefined)
    if (facts && IN_MEMORY.includes(facts.type) && facts.bavail * facts.bsize >= ROOM_BYTES) {
      return { folder, isMemory: true }
    }
  }
  return { folder: disk, isMemory: false }
}

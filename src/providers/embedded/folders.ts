import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'

type Environment = Readonly<Record<string, string | undefined>>

/** `f_type` of Linux's file systems in memory. */
const IN_MEMORY = [0x01021994, 0x858458f6]
/** A data directory takes 40 MB before anything is in it, and every clone of a template 8 MB or more. */
const ROOM_BYTES = 512 * 1024 * 1024

export interface DataPlace {
  readonly folder: string
  readonly isMemory: boolean
}

/** Where data is best kept: in memory, where the system has a folder for it with room, else with temporary files. */
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

import { readFile, readlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { readProcessStart } from '../../../internal/process-start.ts'

/**
 * Where the owner's process can be looked for: a boot of a machine, a namespace of process ids in it, and an account,
 * since the processes of others may be hidden.
 */
export const PLACE_LABEL = 'vitest-infra.owner.place'
/** The same, of a container that outlives its owner, once it runs. */
export const OUTLIVED_PLACE_LABEL = 'vitest-infra.outlived-owner.place'
const PID_LABEL = 'vitest-infra.owner'
/** When it started, as the kernel counts it: ids are given again. */
const STARTED_LABEL = 'vitest-infra.owner.started'

/** Labels that name this process; without place and start on systems that report neither, so that no run removes it. */
export async function ownerLabels({ isOutlived = false } = {}): Promise<Record<string, string>> {
  const [place, started] = await Promise.all([findPlace(), readProcessStart(process.pid)])
  const isKnown = place !== undefined && started !== undefined
  return {
    [PID_LABEL]: String(process.pid),
    ...(isKnown && { [isOutlived ? OUTLIVED_PLACE_LABEL : PLACE_LABEL]: place, [STARTED_LABEL]: started }),
  }
}

/**
 * Where this process runs, so that owners of the same place can be asked for. Known on Linux only: a host's name is no
 * proof that two processes are on one machine, and so see each other's ids.
 */
export async function findPlace(): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot.trim()} ${await readlink('/proc/self/ns/pid')} uid:${userInfo().uid}`
  } catch {
    return undefined
  }
}

/** Whether the owner that labels name has ended. The labels must be of this {@link findPlace | place}. */
export async function isOwnerGone(labels: Readonly<Record<string, string>>): Promise<boolean> {
  const started = labels[STARTED_LABEL]
  return started !== undefined && (await readProcessStart(Number(labels[PID_LABEL]))) !== started
}

import { readFile, readlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { readProcessStart } from '../../../internal/process-start.ts'

/**
 * Identifies the processes that can see the owner's process: the boot of a machine, a namespace of process ids, and an
 * account, since a process may not see those of other accounts.
 */
export const PLACE_LABEL = 'vitest-infra.owner.place'
/** The same for a container that may outlive its owner. */
export const OUTLIVED_PLACE_LABEL = 'vitest-infra.outlived-owner.place'
const PID_LABEL = 'vitest-infra.owner'
/** The kernel's start time of the process, because process ids are reused. */
const STARTED_LABEL = 'vitest-infra.owner.started'

/** Labels that identify this process. On a system without place and start time, no run removes the container. */
export async function ownerLabels({ isOutlived = false } = {}): Promise<Record<string, string>> {
  const [place, started] = await Promise.all([findPlace(), readProcessStart(process.pid)])
  const isKnown = place !== undefined && started !== undefined
  return {
    [PID_LABEL]: String(process.pid),
    ...(isKnown && { [isOutlived ? OUTLIVED_PLACE_LABEL : PLACE_LABEL]: place, [STARTED_LABEL]: started }),
  }
}

/**
 * The place of this process. Undefined except on Linux: an equal host name does not prove that two processes are on one
 * machine and see each other's ids.
 */
export async function findPlace(): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot.trim()} ${await readlink('/proc/self/ns/pid')} uid:${userInfo().uid}`
  } catch {
    return undefined
  }
}

/** Whether the owner in these labels has exited. The labels must be of this {@link findPlace | place}. */
export async function isOwnerGone(labels: Readonly<Record<string, string>>): Promise<boolean> {
  const started = labels[STARTED_LABEL]
  return started !== undefined && (await readProcessStart(Number(labels[PID_LABEL]))) !== started
}

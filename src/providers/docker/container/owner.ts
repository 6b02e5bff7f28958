import { readFile, readlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { readProcessStart } from '../../../internal/process-start.ts'

/**
 * The label that identifies the processes that can see the owner's process: the boot of a machine, a pid namespace and
 * an account. The account is part of it because a process may not see processes of other accounts.
 */
export const PLACE_LABEL = 'vitest-infra.owner.place'
/** Replaces {@link PLACE_LABEL} on a container that may outlive its owner, which is swept only if it never ran. */
export const OUTLIVED_PLACE_LABEL = 'vitest-infra.outlived-owner.place'
const PID_LABEL = 'vitest-infra.owner'
/** The label with the kernel's start time of the process, because process ids are reused. */
const STARTED_LABEL = 'vitest-infra.owner.started'

/**
 * Resolves to labels that identify this process as the owner. If the system does not report the place and the start
 * time, no run removes the container.
 */
export async function ownerLabels({ isOutlived = false } = {}): Promise<Record<string, string>> {
  const [place, started] = await Promise.all([findPlace(), readProcessStart(process.pid)])
  const isKnown = place !== undefined && started !== undefined
  return {
    [PID_LABEL]: String(process.pid),
    ...(isKnown && { [isOutlived ? OUTLIVED_PLACE_LABEL : PLACE_LABEL]: place, [STARTED_LABEL]: started }),
  }
}

/**
 * Resolves to the place of this process; undefined except on Linux. An equal host name does not prove that two
 * processes are on one machine and see each other's ids.
 */
export async function findPlace(): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot.trim()} ${await readlink('/proc/self/ns/pid')} uid:${userInfo().uid}`
  } catch {
    return undefined
  }
}

/**
 * Resolves to whether the owner in these labels has exited. The labels must be of the {@link findPlace | place} of this
 * process.
 */
export async function isOwnerGone(labels: Readonly<Record<string, string>>): Promise<boolean> {
  const started = labels[STARTED_LABEL]
  return started !== undefined && (await readProcessStart(Number(labels[PID_LABEL]))) !== started
}

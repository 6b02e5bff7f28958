import { readFile, readlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { LABEL } from '../../../internal/names.ts'
import { readProcessStart } from '../../../internal/process-start.ts'

/**
 * Resolves to labels that identify this process as the owner. If the system does not report the place and the start
 * time, no run removes the container.
 */
export async function ownerLabels({ isOutlived = false } = {}): Promise<Record<string, string>> {
  const [place, started] = await Promise.all([findPlace(), readProcessStart(process.pid)])
  const isKnown = place !== undefined && started !== undefined
  return {
    [LABEL.owner]: String(process.pid),
    ...(isKnown && {
      [isOutlived ? LABEL.outlivedOwnerPlace : LABEL.ownerPlace]: place,
      [LABEL.ownerStarted]: started,
    }),
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
  const started = labels[LABEL.ownerStarted]
  return started !== undefined && (await readProcessStart(Number(labels[LABEL.owner]))) !== started
}

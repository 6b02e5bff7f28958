import type { Clock } from '../internal/clock.ts'
import type { ReleaseInfo } from '../leasing/lease-broker.ts'

/** How long clients of a lease that is over may need to be gone: those of a process that is ending, and others. */
const SETTLE_MS = { gone: 1_000, alive: 150 }
const FIRST_LOOK_MS = 4
const LONGEST_LOOK_MS = 250

export interface Look {
  /** How many clients there are; undefined where that cannot be known. */
  readonly count: () => Promise<number | undefined>
  readonly clock: Clock
}

/** How many clients of a lease that is over are left, once those that are on their way have gone. */
export async function countLeft({ count, clock }: Look, { isUserGone }: ReleaseInfo): Promise<number | undefined> {
  const deadlineMs = clock.now() + (isUserGone ? SETTLE_MS.gone : SETTLE_MS.alive)
  let left = await count()
  for (let pauseMs = FIRST_LOOK_MS; left && clock.now() < deadlineMs; pauseMs *= 2) {
    await clock.sleep(Math.min(pauseMs, LONGEST_LOOK_MS))
    left = await count()
  }
  return left
}

/** Resolves when none is left, however long that takes. */
async function untilNoneIsLeft({ count, clock }: Look, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await count())) {
    await clock.sleep(LONGEST_LOOK_MS, signal).catch(() => {})
  }
}

export interface ReleaseOptions {
  /** Called with the lease that is over if clients of it stay. */
  readonly onClientsLeft: (owner: string) => void
  /** Called when no client is left, unless `signal` aborts first. */
  readonly onQuiet: () => void
  readonly signal: AbortSignal
}

/** Releases what a lease has used as soon as no client of it is left; resolves when it is known whether clients stay. */
export async function releaseWithoutClients(look: Look, info: ReleaseInfo, options: ReleaseOptions): Promise<void> {
  if (await countLeft(look, info)) {
    options.onClientsLeft(info.owner ?? '')
    void watchClients(look, options)
  } else {
    options.onQuiet()
  }
}

/** Calls `onQuiet` when no client is left. */
export async function watchClients(
  look: Look,
  { onQuiet, signal }: Omit<ReleaseOptions, 'onClientsLeft'>,
): Promise<void> {
  await untilNoneIsLeft(look, signal)
  if (!signal.aborted) {
    onQuiet()
  }
}

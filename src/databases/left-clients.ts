import type { Clock } from '../internal/clock.ts'
import type { ReleaseInfo } from '../leasing/lease-source.ts'

/** How long clients may take to disconnect after their lease has ended: if their process exits, and if it lives on. */
const SETTLE_MS = { exiting: 1_000, alive: 150 }
const FIRST_POLL_MS = 4
const LONGEST_POLL_MS = 250

export interface Look {
  /** Counts the connected clients; undefined if that cannot be known. */
  readonly count: () => Promise<number | undefined>
  readonly clock: Clock
}

/** Returns how many clients of an ended lease stay connected, after a time for the others to disconnect. */
export async function countLeft({ count, clock }: Look, { isUserGone }: ReleaseInfo): Promise<number | undefined> {
  const deadlineMs = clock.now() + (isUserGone ? SETTLE_MS.exiting : SETTLE_MS.alive)
  let left = await count()
  for (let pauseMs = FIRST_POLL_MS; left && clock.now() < deadlineMs; pauseMs *= 2) {
    await clock.sleep(Math.min(pauseMs, LONGEST_POLL_MS))
    left = await count()
  }
  return left
}

/** Resolves when no client is connected, however long that takes, or when `signal` aborts. */
async function untilNoneIsLeft({ count, clock }: Look, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await count())) {
    await clock.sleep(LONGEST_POLL_MS, signal).catch(() => {})
  }
}

export interface ReleaseOptions {
  /** Called with the owner of the ended lease if clients stay connected. */
  readonly onClientsLeft: (owner: string) => void
  /** Called when no client is connected, unless `signal` aborts first. */
  readonly onQuiet: () => void
  readonly signal: AbortSignal
}

/**
 * Calls `onQuiet` as soon as no client of the ended lease is connected; resolves once it is known whether clients stay.
 */
export async function releaseWithoutClients(look: Look, info: ReleaseInfo, options: ReleaseOptions): Promise<void> {
  if (await countLeft(look, info)) {
    options.onClientsLeft(info.owner ?? '')
    void watchClients(look, options)
  } else {
    options.onQuiet()
  }
}

/** Calls `onQuiet` when no client is connected. */
export async function watchClients(
  look: Look,
  { onQuiet, signal }: Omit<ReleaseOptions, 'onClientsLeft'>,
): Promise<void> {
  await untilNoneIsLeft(look, signal)
  if (!signal.aborted) {
    onQuiet()
  }
}

import type { Clock } from '../internal/clock.ts'
import type { ReleaseInfo } from '../leasing/lease-source.ts'

/**
 * Time in milliseconds that clients of an ended lease have to disconnect: `exiting` if their process exits, else
 * `alive`.
 */
const SETTLE_MS = { exiting: 1_000, alive: 150 }
const FIRST_POLL_MS = 4
const LONGEST_POLL_MS = 250

export interface Look {
  /** Counts the connected clients; undefined if their number cannot be determined. */
  readonly count: () => Promise<number | undefined>
  readonly clock: Clock
}

/** Gives the clients of an ended lease time to disconnect; returns the number of clients that are still connected. */
export async function countLeft({ count, clock }: Look, { isUserGone }: ReleaseInfo): Promise<number | undefined> {
  const deadlineMs = clock.now() + (isUserGone ? SETTLE_MS.exiting : SETTLE_MS.alive)
  let left = await count()
  for (let pauseMs = FIRST_POLL_MS; left && clock.now() < deadlineMs; pauseMs *= 2) {
    await clock.sleep(Math.min(pauseMs, LONGEST_POLL_MS))
    left = await count()
  }
  return left
}

/** Resolves when no client is connected or when `signal` aborts. There is no timeout. */
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
 * Calls `onQuiet` as soon as no client of the ended lease is connected. Resolves once it is known whether any client
 * stays connected.
 */
export async function releaseWithoutClients(look: Look, info: ReleaseInfo, options: ReleaseOptions): Promise<void> {
  if (await countLeft(look, info)) {
    options.onClientsLeft(info.owner ?? '')
    void watchClients(look, options)
  } else {
    options.onQuiet()
  }
}

/** Calls `onQuiet` when no client is connected, unless `signal` aborts first. */
export async function watchClients(
  look: Look,
  { onQuiet, signal }: Omit<ReleaseOptions, 'onClientsLeft'>,
): Promise<void> {
  await untilNoneIsLeft(look, signal)
  if (!signal.aborted) {
    onQuiet()
  }
}

import type { Clock } from '../internal/clock.ts'
import type { Parting } from './lease-broker.ts'

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
export async function countLeft({ count, clock }: Look, { isUserGone }: Parting): Promise<number | undefined> {
  const deadlineMs = clock.now() + (isUserGone ? SETTLE_MS.gone : SETTLE_MS.alive)
  let left = await count()
  for (let pauseMs = FIRST_LOOK_MS; left && clock.now() < deadlineMs; pauseMs *= 2) {
    await clock.sleep(Math.min(pauseMs, LONGEST_LOOK_MS))
    left = await count()
  }
  return left
}

/** Resolves when none is left, however long that takes. */
export async function untilNoneIsLeft({ count, clock }: Look, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await count())) {
    await clock.sleep(LONGEST_LOOK_MS, signal).catch(() => {})
  }
}

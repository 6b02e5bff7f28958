import { constants } from 'node:os'

/** What shells add to the number of the signal that ended a program. */
const SIGNAL_BASE = 128

/** How a program ended, as one number, the way shells count; nothing where that is not known. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number | undefined {
  return signal === null ? (code ?? undefined) : SIGNAL_BASE + constants.signals[signal]
}

/** The name of the signal that an exit code means, if any. */
export function signalOf(exitCode: number | undefined): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number + SIGNAL_BASE === exitCode)?.[0]
}

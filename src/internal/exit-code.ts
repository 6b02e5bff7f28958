import { constants } from 'node:os'

/** Shells add this to the number of the signal that killed a program. */
const SIGNAL_BASE = 128

/** Returns a program's exit code as shells do; undefined if it is unknown. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number | undefined {
  return signal === null ? (code ?? undefined) : SIGNAL_BASE + constants.signals[signal]
}

/** Returns the name of the signal that an exit code stands for, if any. */
export function signalOf(exitCode: number | undefined): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number + SIGNAL_BASE === exitCode)?.[0]
}

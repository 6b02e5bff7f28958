import { constants } from 'node:os'

/** A shell reports a program that a signal has killed as this number plus the signal's number. */
const SIGNAL_BASE = 128

/** Returns a program's exit code as a shell reports it; undefined if neither a code nor a signal is known. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number | undefined {
  return signal === null ? (code ?? undefined) : SIGNAL_BASE + constants.signals[signal]
}

/** Returns the name of the signal that an exit code stands for; undefined if it stands for none. */
export function signalOf(exitCode: number | undefined): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number + SIGNAL_BASE === exitCode)?.[0]
}

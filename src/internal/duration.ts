import { InfraError } from '../errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
type Unit = keyof typeof UNIT_MS

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/

/** The longest delay of a Node timer in milliseconds, about 24 days. Node fires a timer with a longer delay at once. */
export const LONGEST_MS = 2 ** 31 - 1

/**
 * Renders a duration in the largest unit in which it is a whole number. {@link parseDurationMs} can parse the result.
 */
export function renderDuration(ms: number): string {
  const [unit, size] = Object.entries(UNIT_MS).findLast(([, unitMs]) => ms % unitMs === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** Parses a duration in compose's format, such as `'5s'`, `'1m30s'` or `'250ms'`, into milliseconds. */
export function parseDurationMs(text: string, where: string): number {
  const parts = WHOLE.test(text) ? [...text.matchAll(PART)] : []
  const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit as Unit], 0)
  // The engine accepts only whole nanoseconds, and at least 1 ms.
  const totalMs = Number(total.toFixed(6))
  if (totalMs < 1 || totalMs > LONGEST_MS) {
    throw new InfraError('INFRA_DURATION_INVALID', {
      problem: `Cannot read ${where}: ${JSON.stringify(text)} is not a duration from 1ms to ${LONGEST_MS}ms`,
      remedy: 'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"',
    })
  }
  return totalMs
}

import { InfraError } from '../errors.ts'

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
type Unit = keyof typeof UNIT_MS

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/

/** Milliseconds of a duration as compose writes them: `'5s'`, `'1m30s'`, `'250ms'`. */
export function parseDurationMs(text: string, where: string): number {
  const parts = WHOLE.test(text) ? [...text.matchAll(PART)] : []
  const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit as Unit], 0)
  if (total === 0) {
    throw new InfraError('INFRA_DURATION_INVALID', {
      problem: `Cannot read ${where}: "${text}" is not a duration longer than zero`,
      remedy: 'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"',
    })
  }
  return total
}

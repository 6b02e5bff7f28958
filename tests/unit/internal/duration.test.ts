import { expect, test } from 'vitest'
import { LONGEST_MS, parseDurationMs } from '../../../src/internal/duration.ts'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const AMOUNTS = [1, 2, 5, 10, 59, 60, 100, 999, 12_345, 0.5, 1.5, 0.25, 2.75]

const single = Object.entries(UNITS).flatMap(([unit, unitMs]) =>
  AMOUNTS.filter((amount) => amount * unitMs >= 1 && amount * unitMs <= LONGEST_MS).map((amount) => ({
    text: `${amount}${unit}`,
    ms: amount * unitMs,
  })),
)
const combined = Object.entries(UNITS).flatMap(([left, leftMs]) =>
  Object.entries(UNITS).map(([right, rightMs]) => ({ text: `3${left}20${right}`, ms: 3 * leftMs + 20 * rightMs })),
)

test.for([...single, ...combined])('parseDurationMs() reads $text as $ms ms', ({ text, ms }) => {
  expect(parseDurationMs(text, 'interval')).toBe(ms)
})

test.for([
  ['5s', 5_000],
  ['1m30s', 90_000],
  ['250ms', 250],
  ['1h15m30s500ms', 4_530_500],
  ['0h0m5s', 5_000],
  ['005s', 5_000],
  // Not 1000.9999999999999: the engine wants whole nanoseconds.
  ['1.001s', 1_001],
  ['2147483647ms', LONGEST_MS],
] as const)('parseDurationMs() reads %s as compose does', ([text, ms]) => {
  expect(parseDurationMs(text, 'interval')).toBe(ms)
})

test('parseDurationMs() keeps no state between calls', () => {
  expect(['5s', '5s', '1m5s', '5s'].map((text) => parseDurationMs(text, 'interval'))).toEqual([5e3, 5e3, 65e3, 5e3])
})

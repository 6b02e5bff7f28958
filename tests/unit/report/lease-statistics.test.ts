import { expect, test } from 'vitest'
import { LeaseStatistics, type LeaseSummary } from '../../../src/report/lease-statistics.ts'

function summarize(...waitsMs: readonly number[]): LeaseSummary | undefined {
  const statistics = new LeaseStatistics()
  waitsMs.forEach((waitMs) => statistics.add(waitMs))
  return statistics.summarize()
}

test('LeaseStatistics.summarize() returns nothing without leases', () => {
  expect(summarize()).toBeUndefined()
})

test.for<readonly [number[], LeaseSummary]>([
  [[7], { count: 1, medianMs: 7, p95Ms: 7 }],
  [[9, 1], { count: 2, medianMs: 1, p95Ms: 9 }],
  [[3, 1, 2], { count: 3, medianMs: 2, p95Ms: 3 }],
  // As numbers, not as text.
  [[10, 9, 100, 2, 1], { count: 5, medianMs: 9, p95Ms: 100 }],
])('LeaseStatistics.summarize() ranks the waits %j', ([waitsMs, summary]) => {
  expect(summarize(...waitsMs)).toEqual(summary)
})

test('LeaseStatistics.summarize() has a high 95th percentile only if more than 5 % wait', () => {
  const waitsMs = Array.from({ length: 100 }, (_, index) => (index < 95 ? 1 : 500))
  expect(summarize(...waitsMs)).toEqual({ count: 100, medianMs: 1, p95Ms: 1 })
  expect(summarize(...waitsMs, 500)).toEqual({ count: 101, medianMs: 1, p95Ms: 500 })
})

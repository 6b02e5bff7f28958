/** The value that a share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

export function summarize(values: readonly number[]): { median: number; p95: number } {
  return { median: round(median(values)), p95: round(percentile(values, 0.95)) }
}

export function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** Statistics of the waiting times of leases, in milliseconds. */
export interface LeaseSummary {
  readonly count: number
  readonly medianMs: number
  readonly p95Ms: number
}

/** Collects the waiting times of a run's leases. */
export class LeaseStatistics {
  readonly #waitsMs: number[] = []

  add(waitedMs: number): void {
    this.#waitsMs.push(waitedMs)
  }

  /** Returns the statistics; undefined if there were no leases. */
  summarize(): LeaseSummary | undefined {
    const sorted = this.#waitsMs.toSorted((left, right) => left - right)
    const rank = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
    return sorted.length === 0 ? undefined : { count: sorted.length, medianMs: rank(0.5), p95Ms: rank(0.95) }
  }
}

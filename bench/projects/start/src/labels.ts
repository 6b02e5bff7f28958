/** What the benchmark knows its containers by. */
export const labels: Record<string, string> = JSON.parse(process.env.BENCH_LABELS ?? '{}')

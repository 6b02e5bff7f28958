/** The labels by which the benchmark finds its containers. */
export const labels: Record<string, string> = JSON.parse(process.env.BENCH_LABELS ?? '{}')
